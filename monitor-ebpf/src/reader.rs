//! Reading kernel memory at offsets the daemon found in the running kernel's BTF.
//!
//! [`Typed`] compiles to plain loads that the verifier checks against BTF: several times cheaper than a helper call, and
//! the only way that works under lockdown=confidentiality. It needs a pointer the verifier knows the type of, which
//! fentry and BTF tracepoints hand out. [`Probe`] works on any address.

use core::ptr;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
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

pub trait Reader {
    /// The member's value; zero when it cannot be read or `base` is null.
    fn read<T: Copy + Default>(base: Kernel, field: Field) -> T;

    /// A member that is a pointer.
    #[inline(always)]
    fn pointer(base: Kernel, field: Field) -> Kernel {
        Self::read::<usize>(base, field) as Kernel
    }
}

pub struct Typed;

impl Reader for Typed {
    #[inline(always)]
    fn read<T: Copy + Default>(base: Kernel, field: Field) -> T {
        // VERIFIER: 6.12 and later hand out `trusted_ptr_or_null_` and refuse arithmetic on it before a null check.
        if base.is_null() {
            return T::default();
        }
        // SAFETY: the verifier accepts the load only inside the structure that `base` is known to point to, and the
        // kernel turns a fault into zero.
        unsafe { ptr::read_volatile(address(base, field).cast::<T>()) }
    }
}

pub struct Probe;

impl Reader for Probe {
    #[inline(always)]
    fn read<T: Copy + Default>(base: Kernel, field: Field) -> T {
        value(address(base, field))
    }
}

/// What is at an address; zero when it cannot be read.
///
/// VERIFIER: neither a null check nor a look at the result. The helper itself refuses a bad address and then fills the
/// destination with zeros, and each branch less halves the paths to check.
#[inline(always)]
pub fn value<T: Copy + Default>(address: Kernel) -> T {
    let mut value = T::default();
    // SAFETY: the destination is as long as the helper is told.
    unsafe { bpf_probe_read_kernel((&raw mut value).cast(), size_of::<T>() as u32, address.cast()) };
    value
}
