//! Reading what /proc says of a process. Names in it are the process's to choose, so everything is bytes, and whatever does not
//! look as it should is left out. <https://man7.org/linux/man-pages/man5/proc.5.html>

/// Of /proc/PID/stat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stat {
    pub comm: Vec<u8>,
    pub parent: u32,
    /// In clock ticks since boot.
    pub start: u64,
}

/// Of /proc/PID/status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub uid: u32,
    pub euid: u32,
    pub gid: u32,
    pub egid: u32,
    pub caps_effective: u64,
    pub traced: bool,
}

/// Of /proc/PID/fdinfo/N: the flags of open(2).
pub(super) fn flags(fdinfo: &[u8]) -> Option<u32> {
    u32::from_str_radix(text(value(fdinfo, b"flags:")?)?, 8).ok()
}

/// `net:[4026531840]`
pub(super) fn namespace(link: &[u8]) -> Option<u32> {
    let number = link.split(|byte| *byte == b'[').nth(1)?.strip_suffix(b"]")?;
    text(number)?.parse().ok()
}

impl Stat {
    /// `7617 (name) S 7608 …`; the name may hold anything, parentheses and newlines included.
    pub(super) fn parse(stat: &[u8]) -> Option<Self> {
        let from = stat.iter().position(|byte| *byte == b'(')? + 1;
        let to = stat.iter().rposition(|byte| *byte == b')')?;
        let comm = stat.get(from..to)?.to_vec();
        // The state is the first, and the third of all.
        let mut fields = text(stat.get(to + 1..)?)?.split_ascii_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let start = fields.nth(22 - 5)?.parse().ok()?;
        Some(Self { comm, parent, start })
    }
}

impl Status {
    pub(super) fn parse(status: &[u8]) -> Option<Self> {
        let mut uids = numbers(value(status, b"Uid:")?);
        let mut gids = numbers(value(status, b"Gid:")?);
        let capabilities = text(value(status, b"CapEff:")?)?;
        Some(Self {
            uid: uids.next()?,
            euid: uids.next()?,
            gid: gids.next()?,
            egid: gids.next()?,
            caps_effective: u64::from_str_radix(capabilities, 16).ok()?,
            traced: value(status, b"TracerPid:").is_some_and(|tracer| tracer != b"0"),
        })
    }
}

/// The path in the unified hierarchy: `0::/system.slice/…`
pub(super) fn cgroup(cgroups: &[u8]) -> Vec<u8> {
    let path = cgroups.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::"));
    path.unwrap_or_default().to_vec()
}

/// A login id or session; all bits set means that nobody logged in.
pub(super) fn audit(number: &[u8]) -> Option<u32> {
    text(number)?.parse().ok().filter(|number| *number != u32::MAX)
}

/// The arguments, of which at most so many bytes count; says whether some were cut. `None` without any.
pub(super) fn arguments(cmdline: &[u8], most: usize) -> (Option<Vec<Vec<u8>>>, bool) {
    let truncated = cmdline.len() > most;
    let kept = cmdline.get(..most).unwrap_or(cmdline);
    if kept.is_empty() {
        return (None, truncated);
    }
    let list = kept.strip_suffix(&[0]).unwrap_or(kept);
    (Some(list.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()), truncated)
}

fn value<'a>(lines: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    lines.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name)).map(<[u8]>::trim_ascii)
}

fn numbers(value: &[u8]) -> impl Iterator<Item = u32> {
    text(value).unwrap_or_default().split_ascii_whitespace().map_while(|number| number.parse().ok())
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &str =
        " S 7608 7617 7608 34816 7617 4194304 98 0 0 0 0 0 0 0 20 0 1 0 955603 5505024 400 1844";

    #[test]
    fn a_name_cannot_pretend_to_be_more() {
        for name in ["cat", "a) S 1 1 1", "((", "new\nline", ""] {
            let stat = Stat::parse(format!("7617 ({name}){STAT}").as_bytes()).unwrap();
            assert_eq!(stat, Stat { comm: name.into(), parent: 7608, start: 955_603 }, "{name:?}");
        }
        let stat = [b"7617 (\xff\x1b)".as_slice(), STAT.as_bytes()].concat();
        assert_eq!(Stat::parse(&stat).unwrap().comm, b"\xff\x1b");
        for bad in ["", "7617", "7617 (", "7617 ()", "7617 )(", "7617 (x) S"] {
            assert_eq!(Stat::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn ids_and_capabilities_are_read() {
        let text = b"Name:\tUid:\nUmask:\t0022\nTracerPid:\t77\nUid:\t1000\t0\t0\t0\nGid:\t5\t6\t6\t6\nCapEff:\t000001ffffffffff\n";
        let status = Status::parse(text).unwrap();
        let wanted =
            Status { uid: 1000, euid: 0, gid: 5, egid: 6, caps_effective: 0x1ff_ffff_ffff, traced: true };
        assert_eq!(status, wanted);
        assert_eq!(Status::parse(b"Uid:\t0\n"), None);
    }

    #[test]
    fn short_lines_are_read() {
        assert_eq!(flags(b"pos:\t0\nflags:\t0100001\nmnt_id:\t27\n"), Some(0o100_001));
        assert_eq!(flags(b"pos:\t0\n"), None);
        assert_eq!(namespace(b"net:[4026531840]"), Some(4_026_531_840));
        assert_eq!(namespace(b"/run/netns/x"), None);
        assert_eq!(cgroup(b"12:pids:/x\n0::/system.slice/a.service\n"), b"/system.slice/a.service");
        assert_eq!(cgroup(b"12:pids:/x\n"), b"");
        assert_eq!((audit(b"1000"), audit(b"4294967295\n"), audit(b"")), (Some(1000), None, None));
    }

    #[test]
    fn arguments_are_cut_where_they_are_too_long() {
        let list = |args: &[&str]| Some(args.iter().map(|arg| arg.as_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(arguments(b"cat\0/x\0", 100), (list(&["cat", "/x"]), false));
        assert_eq!(arguments(b"cat\0\0", 100), (list(&["cat", ""]), false));
        assert_eq!(arguments(b"cat\0/x\0", 5), (list(&["cat", "/"]), true));
        assert_eq!(arguments(b"set by itself", 100), (list(&["set by itself"]), false));
        assert_eq!(arguments(b"", 100), (None, false));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _read = (Stat::parse(&bytes), Status::parse(&bytes), flags(&bytes), namespace(&bytes));
            let _read = (cgroup(&bytes), audit(&bytes), arguments(&bytes, 50));
        }
    }
}
