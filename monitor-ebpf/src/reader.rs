//! Reading kernel memory at offsets the daemon found in the running kernel's BTF.
//!
//! [`Typed`] compiles to plain loads that the verifier checks against BTF: several times cheaper than a helper call, and
//! the only way that works under lockdown=confidentiality. It needs a pointer the verifier knows the type of, which
//! fentry and BTF tracepoints hand out. [`Probe`] works on any address.

use core::arch::asm;
use core::mem::MaybeUninit;
use core::ptr;

use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_get_current_task_btf, bpf_probe_read_kernel};
use monitor_abi::fields::{ABSENT, Field};

/// Address of a kernel structure.
pub type Kernel = *const u8;

/// Offsets by [`Field`], filled in by the daemon before the object is loaded; frozen, so that the verifier takes each
/// entry as a constant.
#[unsafe(no_mangle)]
static OFFSETS: [u32; Field::COUNT] = [ABSENT; Field::COUNT];

#[inline(always)]
fn offset(field: Field) -> u32 {
    // SAFETY: the index is a discriminant, so it is inside the table. Volatile: the compiler must not use the values
    // it sees at compile time.
    unsafe { ptr::read_volatile(&raw const OFFSETS[field as usize]) }
}

/// Whether the running kernel has the field.
#[inline(always)]
pub fn has(field: Field) -> bool {
    offset(field) != ABSENT
}

/// Whether the kernel has a helper for the current task with its type: 5.11 and later, found out by the daemon.
#[unsafe(no_mangle)]
static TYPED_TASK: u8 = 0;

/// The current task for [`Typed`]. The verifier does not look at a call that the frozen value rules out.
#[inline(always)]
pub fn typed_task() -> Option<Kernel> {
    // SAFETY: as in `offset`.
    let is_there = unsafe { ptr::read_volatile(&raw const TYPED_TASK) } != 0;
    // SAFETY: the helper has no precondition.
    is_there.then(|| unsafe { bpf_get_current_task_btf() } as Kernel)
}

/// Whether the kernel refuses programs that read its memory at any address, as under lockdown=confidentiality; found out by the
/// daemon. Then only [`Typed`] reads anything.
#[unsafe(no_mangle)]
static SEALED: u8 = 0;

/// VERIFIER: the value is frozen, so the verifier does not look at the calls that it rules out.
#[inline(always)]
pub fn sealed() -> bool {
    // SAFETY: as in `offset`.
    (unsafe { ptr::read_volatile(&raw const SEALED) }) != 0
}

/// The address of a member.
#[inline(always)]
pub fn address(base: Kernel, field: Field) -> Kernel {
    base.wrapping_add(offset(field) as usize)
}

/// The address of the structure around a member.
#[inline(always)]
pub fn container(member: Kernel, field: Field) -> Kernel {
    member.wrapping_sub(offset(field) as usize)
}

/// An address without the type that the verifier knows of it: exported functions take numbers only.
#[inline(always)]
pub fn untyped(pointer: Kernel) -> u64 {
    value((&raw const pointer).cast())
}

pub trait Reader {
    /// Whether it reads at addresses that were computed or kept as numbers.
    const ANYWHERE: bool;

    /// Whether nothing else reads anything: see [`sealed`]. Programs that read anywhere are not loaded there.
    #[inline(always)]
    fn sealed() -> bool {
        !Self::ANYWHERE && sealed()
    }

    /// The current task.
    fn current() -> Kernel;

    /// The member's value; zero when it cannot be read or `base` is null.
    fn read<T: Copy + Default>(base: Kernel, field: Field) -> T;

    /// A member that is a pointer.
    #[inline(always)]
    fn pointer(base: Kernel, field: Field) -> Kernel {
        Self::read::<usize>(base, field) as Kernel
    }

    /// Members that are aligned to eight bytes, as such; with a smaller one comes what is behind it.
    #[inline(always)]
    fn words<const N: usize>(base: Kernel, fields: [Field; N]) -> [u64; N] {
        fields.map(|field| Self::read(base, field))
    }
}

pub struct Typed;

impl Reader for Typed {
    const ANYWHERE: bool = false;

    #[inline(always)]
    fn current() -> Kernel {
        typed_task().unwrap_or(ptr::null())
    }

    #[inline(always)]
    fn read<T: Copy + Default>(base: Kernel, field: Field) -> T {
        let base = opaque(base);
        // VERIFIER: 6.12 and later hand out `trusted_ptr_or_null_` and refuse arithmetic on it before a null check.
        if base.is_null() {
            return T::default();
        }
        // SAFETY: the verifier accepts the load only inside the structure that `base` is known to point to, and the
        // kernel turns a fault into zero.
        unsafe { ptr::read_volatile(address(base, field).cast::<T>()) }
    }
}

/// VERIFIER: the same pointer, which the compiler does not know. Else it makes one check for null of two, and where the first found
/// null goes on with a number; the verifier does not know that this cannot be, and refuses to load from a number.
#[inline(always)]
fn opaque(pointer: Kernel) -> Kernel {
    let mut pointer = pointer;
    // SAFETY: a register is set to itself. No instruction at all would leave two lines of the source at one, which the kernel refuses.
    unsafe { asm!("{0} = {0}", inout(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}

pub struct Probe;

impl Reader for Probe {
    const ANYWHERE: bool = true;

    #[inline(always)]
    fn current() -> Kernel {
        // SAFETY: the helper only returns an address.
        unsafe { bpf_get_current_task() as Kernel }
    }

    #[inline(always)]
    fn read<T: Copy + Default>(base: Kernel, field: Field) -> T {
        value(address(base, field))
    }

    /// In one call where they are near each other: a call costs more than the bytes between.
    #[inline(always)]
    fn words<const N: usize>(base: Kernel, fields: [Field; N]) -> [u64; N] {
        let offsets = fields.map(offset);
        let first = offsets.into_iter().fold(u32::MAX, u32::min);
        let last = offsets.into_iter().fold(0, u32::max);
        let length = last.wrapping_sub(first).wrapping_add(size_of::<u64>() as u32);
        if length as usize > WINDOW || sealed() {
            return fields.map(|field| Self::read(base, field));
        }
        // Not initialised, because the compiler would call a loop for that.
        let mut window = MaybeUninit::<[u64; WINDOW / size_of::<u64>()]>::uninit();
        let start = window.as_mut_ptr().cast::<u8>();
        // SAFETY: the destination is no shorter than `length`, compared above.
        unsafe { bpf_probe_read_kernel(start.cast(), length, base.wrapping_add(first as usize).cast()) };
        offsets.map(|offset| {
            let place = start.wrapping_add(offset.wrapping_sub(first) as usize);
            // SAFETY: inside what was read, because no member ends behind the last one; aligned as the members are.
            unsafe { ptr::read_volatile(place.cast::<u64>()) }
        })
    }
}

/// How many bytes are read at once at most. They are on the stack, of which all functions together have 512.
const WINDOW: usize = 64;

/// What is at an address; zero when it cannot be read.
///
/// VERIFIER: neither a null check nor a look at the result. The helper itself refuses a bad address and then fills the
/// destination with zeros, and each branch less halves the paths to check.
#[inline(always)]
pub fn value<T: Copy + Default>(address: Kernel) -> T {
    let mut value = T::default();
    if sealed() {
        return value;
    }
    // SAFETY: the destination is as long as the helper is told.
    unsafe { bpf_probe_read_kernel((&raw mut value).cast(), size_of::<T>() as u32, address.cast()) };
    value
}

/// Calls a function that is generic over its [`Reader`] with the one that works.
macro_rules! with_reader {
    ($function:ident($($argument:expr),*)) => {
        if $crate::reader::sealed() {
            $function::<$crate::reader::Typed>($($argument),*)
        } else {
            $function::<$crate::reader::Probe>($($argument),*)
        }
    };
}

pub(crate) use with_reader;
