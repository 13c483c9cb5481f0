use monitor::fuzzing::{counted, kubelet};

/// A kubelet's command line and the text of its files, with a byte 1 in between; the text is also a file of certificates, an access control list and a
/// table of sockets. Whatever it is, it is read, no more is kept than there can be, and what is said of it is safe on a terminal.
pub fn posture(data: &[u8]) {
    let (cmdline, text) = match data.iter().position(|byte| *byte == 1) {
        Some(place) => (&data[..place], &data[place + 1..]),
        None => (data, data),
    };
    for why in kubelet(cmdline, text).into_iter().filter_map(Result::err) {
        assert!(!why.is_empty() && !why.contains(char::is_control), "{why:?}");
    }
    let (keys, list, sockets) = counted(text);
    assert!(keys.is_err() || keys.is_ok_and(|keys| (1..=512).contains(&keys)), "{keys:?}");
    assert!(list.is_none_or(|list| list <= text.len() / 8), "{list:?}");
    assert!(sockets <= text.len(), "{sockets}");
}
