//! The record under construction: a head, an object, and sections that are appended one after the other.

use core::ptr;

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user, bpf_probe_read_user_str};
use monitor_abi::record::{
    ARGS_MAX, COMPONENT_MAX, HEAD_TRUNCATED, Head, OBJECT_MAX, RECORD_MAX, SECTIONS_MAX,
};

use crate::maps::SCRATCH;
use crate::matching::Match;
use crate::reader::{Kernel, sealed};

const SECTIONS: usize = size_of::<Head>() + OBJECT_MAX;

/// A section begins below `SECTIONS_MAX` and may end this much behind it, so that one comparison at its start is enough.
const SLACK: usize = ARGS_MAX + COMPONENT_MAX;

const _: () = assert!(RECORD_MAX == SECTIONS + SECTIONS_MAX + SLACK);

#[repr(C, align(8))]
pub struct Record(pub [u8; RECORD_MAX]);

#[repr(C)]
pub struct Scratch {
    /// 1 while a record is put together.
    busy: u32,
    /// Bytes of sections so far.
    used: u32,
    /// Where a walk is: see `path` and `ancestors`.
    pub cursor: Cursor,
    pub record: Record,
}

/// Whose memory something is in.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Memory {
    Kernel,
    User,
}

/// The state of a walk lives here and not in registers: what a map holds is unknown to the verifier, so all steps look the
/// same to it.
#[repr(C)]
pub struct Cursor {
    pub mnt: u64,
    pub dentry: u64,
    pub node: u64,
    pub task: u64,
}

const _: () = assert!(SECTIONS_MAX.is_power_of_two());

impl Scratch {
    /// This CPU's scratch space of a hook.
    #[inline(always)]
    pub fn of(hook: u32) -> Option<&'static mut Self> {
        let scratch = SCRATCH.get_ptr_mut(hook)?;
        // SAFETY: the memory is this CPU's and this hook's; `begin` refuses it while an interrupted run of the hook uses it,
        // and a run's functions use it one after the other.
        Some(unsafe { &mut *scratch })
    }

    /// Starts a record. `false` when the hook is already at it: it interrupted itself on this CPU.
    #[inline(always)]
    pub fn begin(&mut self, tag: u32, matched: Match) -> bool {
        // SAFETY: a plain field; volatile because the value can change under an interrupt.
        if unsafe { ptr::read_volatile(&raw const self.busy) } != 0 {
            return false;
        }
        self.busy = 1;
        self.used = 0;
        // SAFETY: the helper has no precondition.
        let time = unsafe { bpf_ktime_get_boot_ns() };
        let head = self.head();
        head.tag = tag;
        head.time = time;
        head.target = matched.target();
        head.flags = matched.flags();
        head.below = matched.below();
        head.pad = 0;
        true
    }

    /// The object's place. It is filled there and not on the stack, of which all functions together have 512 bytes.
    #[inline(always)]
    pub fn object<T>(&mut self) -> &mut T {
        const { assert!(size_of::<T>() <= OBJECT_MAX && align_of::<T>() <= 8) };
        // SAFETY: the object fits, asserted above; its place is aligned to 8 as the record is; the objects are plain
        // integers, of which any bytes are a value.
        unsafe { &mut *self.record.0.as_mut_ptr().add(size_of::<Head>()).cast::<T>() }
    }

    #[inline(always)]
    pub fn end(&mut self) {
        // SAFETY: a plain field; volatile so that it is written last.
        unsafe { ptr::write_volatile(&raw mut self.busy, 0) };
    }

    #[inline(always)]
    pub fn head(&mut self) -> &mut Head {
        // SAFETY: the record is aligned to 8 and longer than a head, which any bytes are a value of.
        unsafe { &mut *self.record.0.as_mut_ptr().cast::<Head>() }
    }

    /// Writes the length and returns it.
    ///
    /// VERIFIER: read back, because the compiler would bound the part it was made of, and 5.10 learns nothing from that.
    #[inline(always)]
    pub fn finish(&mut self) -> u32 {
        let length = SECTIONS as u32 + self.used();
        let place = &raw mut self.head().len;
        // SAFETY: a plain field.
        unsafe {
            ptr::write_volatile(place, length);
            ptr::read_volatile(place)
        }
    }

    #[inline(always)]
    pub fn truncated(&mut self) {
        self.head().flags |= HEAD_TRUNCATED;
    }

    /// Begins a section; returns where, for [`Self::close`].
    #[inline(always)]
    pub fn open(&mut self, kind: u16) -> u32 {
        let start = self.used();
        if let Some(place) = self.place() {
            // SAFETY: `place` leaves room for more than four bytes.
            unsafe { ptr::write_unaligned(place.cast::<u32>(), u32::from(kind)) };
            self.used = start + 4;
        }
        start
    }

    /// Ends the section that began at `start`: writes its length.
    #[inline(always)]
    pub fn close(&mut self, start: u32) {
        let length = self.used().wrapping_sub(start);
        // A section that found no room was not begun.
        if length < 4 {
            return;
        }
        let offset = SECTIONS + (start as usize & (SECTIONS_MAX - 1)) + 2;
        // SAFETY: the mask keeps the place inside the sections.
        unsafe {
            ptr::write_unaligned(self.record.0.as_mut_ptr().add(offset).cast::<u16>(), (length - 4) as u16);
        }
    }

    /// Appends a kernel string with its terminator, cut to a name's length. `false` when there is no room left.
    #[inline(always)]
    pub fn push_name(&mut self, name: Kernel) -> bool {
        let Some(place) = self.place().filter(|_| !sealed()) else { return false };
        // SAFETY: `place` leaves room for a name; the helper checks the source.
        let length = unsafe { bpf_probe_read_kernel_str(place.cast(), COMPONENT_MAX as u32, name.cast()) };
        if length > 0 {
            self.used = self.used().wrapping_add(length as u32);
        }
        true
    }

    /// Appends a section of a name in any memory.
    #[inline(always)]
    pub fn named_section(&mut self, kind: u16, name: u64, memory: Memory) {
        let start = self.open(kind);
        match memory {
            Memory::Kernel => _ = self.push_name(name as Kernel),
            Memory::User => self.push_user_name(name),
        }
        self.close(start);
    }

    #[inline(always)]
    fn push_user_name(&mut self, name: u64) {
        let Some(place) = self.place().filter(|_| !sealed()) else { return };
        // SAFETY: as for a kernel string.
        let length = unsafe { bpf_probe_read_user_str(place.cast(), COMPONENT_MAX as u32, name as *const _) };
        if length > 0 {
            self.used = self.used().wrapping_add(length as u32);
        }
    }

    /// Appends a section of one name.
    #[inline(always)]
    pub fn name_section(&mut self, kind: u16, name: Kernel) {
        let start = self.open(kind);
        self.push_name(name);
        self.close(start);
    }

    /// Appends user memory. `false` when it cannot be read or there is no room left.
    #[inline(always)]
    pub fn push_user(&mut self, address: u64, length: u32) -> bool {
        let Some(place) = self.place() else { return false };
        // VERIFIER: the bound has to be on the value that goes to the helper.
        if length as usize > ARGS_MAX {
            return false;
        }
        // SAFETY: `place` leaves room for the longest argument list; the helper checks the source.
        let result = unsafe { bpf_probe_read_user(place.cast(), length, address as *const _) };
        if result == 0 {
            self.used = self.used().wrapping_add(length);
        }
        result == 0
    }

    /// Appends a structure.
    #[inline(always)]
    pub fn push<T: Copy>(&mut self, value: &T) -> bool {
        const { assert!(size_of::<T>() <= SLACK) };
        let Some(place) = self.place() else { return false };
        // SAFETY: `place` leaves room, asserted above.
        unsafe { ptr::write_unaligned(place.cast::<T>(), *value) };
        self.used = self.used().wrapping_add(size_of::<T>() as u32);
        true
    }

    /// Appends the first bytes of a structure.
    #[inline(always)]
    pub fn push_part<T: Copy>(&mut self, value: &T, length: u32) {
        let used = self.used();
        if self.push(value) {
            self.used = used.wrapping_add(length);
        }
    }

    /// Takes the section back that began at `start`, and marks the record.
    #[inline(always)]
    pub fn take_back(&mut self, start: u32) {
        self.used = start;
        self.truncated();
    }

    /// Where the next bytes go: at least `SLACK` bytes of room, or `None` and the record is marked.
    #[inline(always)]
    fn place(&mut self) -> Option<*mut u8> {
        let used = self.used() as usize;
        if used >= SECTIONS_MAX {
            self.truncated();
            return None;
        }
        // VERIFIER: the mask repeats the comparison in a form that survives a spill of the offset (5.10).
        let offset = used & (SECTIONS_MAX - 1);
        // SAFETY: inside the record by the mask.
        Some(unsafe { self.record.0.as_mut_ptr().add(SECTIONS).add(offset) })
    }

    /// VERIFIER: volatile, so that each use reads an unknown number that the mask then bounds, instead of one whose bounds
    /// the compiler reasons away and the verifier forgot.
    #[inline(always)]
    fn used(&self) -> u32 {
        // SAFETY: a plain field.
        unsafe { ptr::read_volatile(&raw const self.used) }
    }
}
