//! Running what the kernel takes for another file.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result, ensure};

/// By `PR_SET_MM_EXE_FILE`, for which one needs a privilege on the node.
pub fn as_file(path: &str) -> Result<()> {
    let other = forgotten(path)?;
    // SAFETY: the request takes a descriptor and no pointers.
    let result = unsafe {
        libc::prctl(libc::PR_SET_MM, libc::PR_SET_MM_EXE_FILE, libc::c_long::from(other.as_raw_fd()), 0, 0)
    };
    let error = io::Error::last_os_error();
    ensure!(
        result == 0 || error.raw_os_error() != Some(libc::EPERM),
        "unsupported: not even root has CAP_SYS_RESOURCE"
    );
    ensure!(result == 0, "{error}");
    Ok(())
}

/// By `PR_SET_MM_MAP`, for which a privilege in a user namespace of one's own is enough.
pub fn as_mapped_file(path: &str) -> Result<()> {
    /// `struct prctl_mm_map`
    #[repr(C)]
    struct Map {
        /// `start_code`, `end_code`, `start_data`, `end_data`, `start_brk`, `brk`, `start_stack`, `arg_start`, `arg_end`, `env_start`,
        /// `env_end`
        places: [u64; 11],
        auxv: u64,
        auxv_size: u32,
        exe_fd: u32,
    }
    // Where they are in /proc/PID/stat, counted from the one behind the name; the break is not there.
    const FIELDS: [Option<usize>; 11] = [
        Some(23),
        Some(24),
        Some(42),
        Some(43),
        Some(44),
        None,
        Some(25),
        Some(45),
        Some(46),
        Some(47),
        Some(48),
    ];
    let other = forgotten(path)?;
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<_> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
    let mut places = [0; 11];
    for (place, field) in places.iter_mut().zip(FIELDS) {
        *place = match field {
            Some(field) => fields.get(field).context("stat is short")?.parse()?,
            // SAFETY: asks for the break and moves nothing.
            None => unsafe { libc::sbrk(0) }.expose_provenance().try_into()?,
        };
    }
    let map = Map { places, auxv: 0, auxv_size: 0, exe_fd: other.as_raw_fd().try_into()? };
    // SAFETY: the structure is what the request takes, and the places in it are those that the process has.
    let result =
        unsafe { libc::prctl(libc::PR_SET_MM, libc::PR_SET_MM_MAP, &raw const map, size_of::<Map>(), 0) };
    ensure!(result == 0, "{}", io::Error::last_os_error());
    Ok(())
}

/// Puts copies of no file in the place of everything that is mapped of the own executable: before that the kernel takes no other.
fn forgotten(path: &str) -> Result<File> {
    let own = std::env::current_exe()?;
    let own = own.to_string_lossy();
    let maps = fs::read_to_string("/proc/self/maps")?;
    let parts: Vec<_> =
        maps.lines().filter(|line| line.ends_with(&*own)).map(part).collect::<Option<_>>().context("maps")?;
    for (start, end, protection) in parts {
        // SAFETY: the new pages hold the same and are put there at once; nothing writes to the old ones in between, because this
        // is the only thread and the calls write nothing.
        unsafe { replace(start, end - start, protection) }?;
    }
    Ok(File::open(path)?)
}

/// `55d0c8a00000-55d0c8a21000 r-xp 00000000 08:01 1234 /path`
fn part(line: &str) -> Option<(usize, usize, i32)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let bit =
        |letter: char, bit| if rest.get(..4).is_some_and(|mode| mode.contains(letter)) { bit } else { 0 };
    let protection = bit('r', libc::PROT_READ) | bit('w', libc::PROT_WRITE) | bit('x', libc::PROT_EXEC);
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?, protection))
}

/// # Safety
/// The range is mapped and can be read, and does not change meanwhile.
unsafe fn replace(start: usize, length: usize, protection: i32) -> Result<()> {
    let (private, nowhere) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, std::ptr::null_mut());
    // SAFETY: a new mapping, of which nothing else knows.
    let copy = unsafe { libc::mmap(nowhere, length, libc::PROT_READ | libc::PROT_WRITE, private, -1, 0) };
    ensure!(copy != libc::MAP_FAILED, "{}", io::Error::last_os_error());
    let place = std::ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: both have the length, and the caller says that the first can be read.
    unsafe { std::ptr::copy_nonoverlapping(place, copy.cast(), length) };
    // SAFETY: the pages are those of above.
    let protected = unsafe { libc::mprotect(copy, length, protection) };
    ensure!(protected == 0, "{}", io::Error::last_os_error());
    // SAFETY: what is there is replaced by the same.
    let moved =
        unsafe { libc::mremap(copy, length, length, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, place) };
    ensure!(moved != libc::MAP_FAILED, "{}", io::Error::last_os_error());
    Ok(())
}
