//! What a member's type is, compared with what the programs take it for.

use monitor_abi::fields::Shape;

use super::{Btf, Kind, Type};

const POINTER_SIZE: u32 = 8;
/// Deepest array of arrays; the kernel's own have two or three levels.
const MAX_DIMENSIONS: usize = 8;

impl Btf {
    /// The size in bytes of the member's type if it has the wanted shape.
    pub(super) fn size_in_shape(&self, type_id: u32, wanted: Shape) -> Option<u32> {
        let size = self.size(type_id)?;
        let found = self.unalias(type_id)?;
        let fits = match wanted {
            Shape::Pointer(structure) => found.kind == Kind::Pointer && self.points_to(found, structure),
            Shape::Int(bytes) => {
                matches!(found.kind, Kind::Int | Kind::Enum | Kind::Enum64)
                    && size == bytes
                    && found.is_whole_int()
            }
            Shape::Bytes(bytes) => size >= bytes,
        };
        fits.then_some(size)
    }

    fn points_to(&self, pointer: Type<'_>, structure: &str) -> bool {
        structure.is_empty()
            || self.unalias(pointer.size_or_type).is_some_and(|target| {
                // A kernel that only declares the structure in most of its files may have just the declaration.
                (target.kind == Kind::Struct || (target.kind == Kind::Forward && !target.flag))
                    && self.bounded_name(target.name) == Some(structure.as_bytes())
            })
    }

    fn size(&self, mut type_id: u32) -> Option<u32> {
        let mut count: u32 = 1;
        for _ in 0..MAX_DIMENSIONS {
            let found = self.unalias(type_id)?;
            let one = match found.kind {
                Kind::Array => {
                    let (element, length) = found.array()?;
                    count = count.checked_mul(length)?;
                    type_id = element;
                    continue;
                }
                Kind::Pointer => POINTER_SIZE,
                Kind::Int | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Float => {
                    found.size_or_type
                }
                _ => return None,
            };
            return count.checked_mul(one);
        }
        None
    }

    /// In words, for messages.
    pub(super) fn describe(&self, type_id: u32) -> String {
        let Some(found) = self.unalias(type_id) else {
            return "of a type that cannot be read".to_owned();
        };
        let bytes = found.size_or_type;
        match found.kind {
            Kind::Int | Kind::Enum | Kind::Enum64 => format!("an integer of {bytes} bytes"),
            Kind::Pointer => match self.unalias(found.size_or_type) {
                Some(target) if target.name != 0 => format!("a pointer to {}", self.name(target.name)),
                _ => "a pointer".to_owned(),
            },
            Kind::Struct => format!("struct {} of {bytes} bytes", self.name(found.name)),
            Kind::Union => format!("union {} of {bytes} bytes", self.name(found.name)),
            Kind::Array => format!("an array of {} bytes", self.size(type_id).unwrap_or_default()),
            kind => format!("of kind {kind:?}"),
        }
    }
}

pub(super) fn describe(wanted: Shape) -> String {
    match wanted {
        Shape::Pointer("") => "a pointer".to_owned(),
        Shape::Pointer(structure) => format!("a pointer to {structure}"),
        Shape::Int(bytes) => format!("an integer of {bytes} bytes"),
        Shape::Bytes(bytes) => format!("at least {bytes} bytes long"),
    }
}
