//! Connects with a descriptor that is another file when the call ends.

use std::fs::File;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::path::Path;
use std::ptr;
use std::thread;

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, socket};

/// Of <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/userfaultfd.h>.
const UFFD_API: u64 = 0xaa;
const UFFDIO_API: u64 = 0xc018_aa3f;
const UFFDIO_REGISTER: u64 = 0xc020_aa00;
const UFFDIO_COPY: u64 = 0xc028_aa03;
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1;

const PAGE: usize = 4096;

/// The call looks the descriptor up, and waits for the address, which lies in memory that this process provides. Meanwhile the number
/// becomes another file's.
pub fn act(path: &str) -> Result<()> {
    let memory = absent()?;
    let client = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    let number = client.as_raw_fd();
    let other = File::open("/dev/null")?;
    let at = memory.at;
    let address = SocketAddrUnix::new(Path::new(path))?;
    let bytes = address.path_bytes().context("no path")?;
    let mut page = Box::new([0_u8; PAGE]);
    page[..2].copy_from_slice(&u16::try_from(libc::AF_UNIX)?.to_ne_bytes());
    page[2..2 + bytes.len()].copy_from_slice(bytes);
    let length = u32::try_from(size_of::<libc::sockaddr_un>())?;
    let caller = thread::spawn(move || {
        // SAFETY: the address is that of a page of this process.
        let result = unsafe { libc::connect(number, at as *const libc::sockaddr, length) };
        if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    });
    memory.wait()?;
    // SAFETY: both are open; the first is this function's own.
    let replaced = unsafe { libc::dup2(other.as_raw_fd(), number) };
    ensure!(replaced == number, "{}", std::io::Error::last_os_error());
    memory.fill(&page)?;
    caller.join().map_err(|_| anyhow!("the thread panicked"))?.context("connect")
}

/// A page that is not there until it is filled.
struct Absent {
    events: OwnedFd,
    at: usize,
}

fn absent() -> Result<Absent> {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
    ensure!(fd >= 0, "unsupported: userfaultfd: {}", std::io::Error::last_os_error());
    // SAFETY: it was just opened and is nobody else's.
    let events = unsafe { OwnedFd::from_raw_fd(RawFd::try_from(fd)?) };
    // SAFETY: the kernel chooses a place that nothing else has.
    let place = unsafe {
        mmap_anonymous(ptr::null_mut(), PAGE, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?
    };
    let memory = Absent { events, at: place as usize };
    memory.ask(UFFDIO_API, [UFFD_API, 0, 0, 0, 0])?;
    memory.ask(UFFDIO_REGISTER, [memory.at as u64, PAGE as u64, UFFDIO_REGISTER_MODE_MISSING, 0, 0])?;
    Ok(memory)
}

impl Absent {
    fn ask(&self, request: u64, mut words: [u64; 5]) -> Result<()> {
        // SAFETY: none of the requests has more words.
        let result = unsafe { libc::ioctl(self.events.as_raw_fd(), request, words.as_mut_ptr()) };
        ensure!(result == 0, "userfaultfd: {}", std::io::Error::last_os_error());
        Ok(())
    }

    /// Until somebody needs it.
    fn wait(&self) -> Result<()> {
        let mut event = [0; 32];
        rustix::io::read(&self.events, &mut event).map(drop).context("wait for the call")
    }

    fn fill(&self, page: &[u8; PAGE]) -> Result<()> {
        self.ask(UFFDIO_COPY, [self.at as u64, page.as_ptr() as u64, PAGE as u64, 0, 0])
    }
}
