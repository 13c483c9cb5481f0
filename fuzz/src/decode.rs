use monitor::access::Object;
use monitor::decode::{Record, decode as decode_record};

/// A record of the ring buffer.
pub fn decode(data: &[u8]) {
    check(data);
    // With the length that it has: hardly any input would come past that check.
    let mut record = data.to_vec();
    if let (Ok(length), Some(word)) = (u32::try_from(record.len()), record.get_mut(4..8)) {
        word.copy_from_slice(&length.to_ne_bytes());
        check(&record);
    }
}

fn check(record: &[u8]) {
    let access = match decode_record(record) {
        Ok(Record::Access(decoded)) => decoded.access,
        Ok(Record::Outcome(_) | Record::Doer(_)) => return,
        Err(error) => {
            let _words = error.to_string();
            return;
        }
    };
    let actor = &access.actor;
    assert!(actor.comm.len() <= 16);
    let paths = [&actor.exe.path, &actor.cwd, &actor.cgroup].into_iter();
    let paths = paths.chain(actor.ancestors.iter().map(|ancestor| &ancestor.exe.path));
    let seen = match &access.object {
        Object::File(file) => vec![&file.path_seen, &file.path_inside],
        Object::Mount(mount) => vec![&mount.path_seen],
        Object::UnixSocket(socket) => vec![&socket.path_seen],
        Object::Process(process) => vec![&process.exe.path],
        Object::InetSocket(_) => Vec::new(),
    };
    for path in paths.chain(seen) {
        assert!(path.len() <= record.len());
    }
}
