//! Finds one field: the structure by name, then the member path, through anonymous members on the way.

use monitor_abi::fields::FieldSpec;

use super::{Btf, FieldError, Kind, Member, Type, shape};

/// Deepest anonymous structures in structures; real ones have three levels.
const MAX_DEPTH: usize = 12;
/// Members looked at for one field. The largest structures have some hundreds; hostile data could make anonymous members
/// contain themselves, and without a bound each level would multiply the work.
const MAX_VISITS: u32 = 1 << 16;

impl Btf {
    /// The field's byte offset in its structure. Looking up many fields, use [`super::Offsets`]: it scans the types once.
    pub fn field(&self, spec: &FieldSpec) -> Result<u32, FieldError> {
        let mut candidates = Vec::new();
        for id in self.ids() {
            if self.structure_name(id) == Some(spec.structure.as_bytes()) {
                candidates.push(id);
            }
        }
        self.field_in(&candidates, spec)
    }

    /// The name of a structure definition, None for every other type.
    pub(super) fn structure_name(&self, id: u32) -> Option<&[u8]> {
        let found = self.get(id).filter(|found| found.kind == Kind::Struct && found.name != 0)?;
        self.bounded_name(found.name)
    }

    /// Several definitions may share the name: some driver's private `struct file`. The first that has the field wins.
    pub(super) fn field_in(&self, candidates: &[u32], spec: &FieldSpec) -> Result<u32, FieldError> {
        let mut search = Search { btf: self, spec, visits: MAX_VISITS };
        let mut first_error = None;
        for candidate in candidates.iter().filter_map(|id| self.get(*id)) {
            for path in spec.paths {
                match search.offset(candidate, path) {
                    Ok(Some(offset)) => return Ok(offset),
                    Ok(None) => {}
                    Err(error @ FieldError::TooNested(_)) => return Err(error),
                    Err(error) => first_error = first_error.or(Some(error)),
                }
            }
        }
        Err(first_error.unwrap_or_else(|| match candidates {
            [] => FieldError::NoStructure(spec.structure),
            _ => FieldError::NoMember { structure: spec.structure, path: spec.paths.join(" or ") },
        }))
    }
}

struct Search<'a> {
    btf: &'a Btf,
    spec: &'a FieldSpec,
    visits: u32,
}

impl Search<'_> {
    /// None if the structure has no such member.
    fn offset(&mut self, structure: Type<'_>, path: &'static str) -> Result<Option<u32>, FieldError> {
        let mut inside = structure;
        let mut bits: u64 = 0;
        let mut last = None;
        for name in path.split('.') {
            if let Some(Member { type_id, .. }) = last {
                match self.btf.unalias(type_id) {
                    Some(next) if next.kind.is_composite() => inside = next,
                    _ => return Ok(None),
                }
            }
            let Some((member, before)) = self.member(inside, name, MAX_DEPTH)? else {
                return Ok(None);
            };
            bits += before + u64::from(member.bit_offset);
            last = Some(member);
        }
        last.map(|member| self.check(structure, path, member, bits)).transpose()
    }

    /// The member and how many bits lie before the anonymous member that holds it.
    fn member(
        &mut self,
        inside: Type<'_>,
        name: &str,
        depth: usize,
    ) -> Result<Option<(Member, u64)>, FieldError> {
        for member in inside.members() {
            self.visits = self.visits.checked_sub(1).ok_or(FieldError::TooNested(self.spec.structure))?;
            if member.name != 0 {
                if self.btf.bounded_name(member.name) == Some(name.as_bytes()) {
                    return Ok(Some((member, 0)));
                }
                continue;
            }
            let Some(nested) = self.btf.unalias(member.type_id).filter(|nested| nested.kind.is_composite())
            else {
                continue;
            };
            let depth = depth.checked_sub(1).ok_or(FieldError::TooNested(self.spec.structure))?;
            if let Some((found, before)) = self.member(nested, name, depth)? {
                return Ok(Some((found, before + u64::from(member.bit_offset))));
            }
        }
        Ok(None)
    }

    fn check(
        &self,
        structure: Type<'_>,
        path: &'static str,
        member: Member,
        bits: u64,
    ) -> Result<u32, FieldError> {
        let FieldSpec { structure: name, shape: wanted, .. } = *self.spec;
        let whole = self.btf.unalias(member.type_id).is_none_or(Type::is_whole_int);
        if member.bitfield != 0 || !bits.is_multiple_of(8) || !whole {
            return Err(FieldError::Bitfield { structure: name, path });
        }
        let size = self.btf.size_in_shape(member.type_id, wanted).ok_or_else(|| FieldError::WrongShape {
            structure: name,
            path,
            found: self.btf.describe(member.type_id),
            wanted: shape::describe(wanted),
        })?;
        let offset = bits / 8;
        if offset + u64::from(size) > u64::from(structure.size_or_type) {
            return Err(FieldError::Outside { structure: name, path });
        }
        u32::try_from(offset).map_err(|_| FieldError::Outside { structure: name, path })
    }
}

#[cfg(test)]
mod tests {
    use monitor_abi::fields::Shape;

    use super::super::testing::blob;
    use super::*;

    const INT: u32 = 1 << 24;
    const POINTER: u32 = 2 << 24;
    const ARRAY: u32 = 3 << 24;
    const STRUCT: u32 = 4 << 24;
    const UNION: u32 = 5 << 24;
    const TYPEDEF: u32 = 8 << 24;
    const CONST: u32 = 10 << 24;
    const FLAG: u32 = 1 << 31;
    /// Each name is at the offset that its constant says.
    const STRINGS: &str = "\0s\0a\0b\0c\0";
    const S: u32 = 1;
    const A: u32 = 3;
    const B: u32 = 5;
    const C: u32 = 7;
    const U32: &[u32] = &[0, INT, 4, 32];

    fn field(types: &[&[u32]], path: &'static [&'static str], shape: Shape) -> Result<u32, FieldError> {
        Btf::parse(&blob(types, STRINGS)).unwrap().field(&FieldSpec { structure: "s", paths: path, shape })
    }

    #[test]
    fn anonymous_members_add_their_offsets() {
        let types: &[&[u32]] = &[
            U32,
            &[0, UNION | 1, 4, A, 1, 0],
            &[0, STRUCT | 2, 8, B, 1, 0, 0, 2, 32],
            &[S, STRUCT | 2, 16, C, 1, 0, 0, 3, 64],
        ];
        assert_eq!(field(types, &["a"], Shape::Int(4)), Ok(12));
        assert_eq!(field(types, &["b"], Shape::Int(4)), Ok(8));
    }

    #[test]
    fn both_encodings_of_bitfields_are_refused() {
        let new: &[&[u32]] = &[U32, &[S, FLAG | STRUCT | 1, 4, A, 1, 3 << 24]];
        let old: &[&[u32]] = &[&[0, INT, 4, 3], &[S, STRUCT | 1, 4, A, 1, 0]];
        let unaligned: &[&[u32]] = &[U32, &[S, STRUCT | 1, 8, A, 1, 3]];
        for types in [new, old, unaligned] {
            let refused = Err(FieldError::Bitfield { structure: "s", path: "a" });
            assert_eq!(field(types, &["a"], Shape::Int(4)), refused);
        }
    }

    #[test]
    fn the_first_definition_with_the_field_wins() {
        let types: &[&[u32]] = &[
            U32,
            &[S, STRUCT | 1, 4, B, 1, 0],
            &[S, STRUCT | 2, 8, B, 1, 0, A, 1, 32],
            &[S, STRUCT | 1, 12, A, 1, 64],
        ];
        assert!(matches!(field(types, &["a"], Shape::Int(8)), Err(FieldError::WrongShape { .. })));
        let misfit: &[&[u32]] =
            &[U32, &[0, INT, 8, 64], &[S, STRUCT | 1, 4, A, 1, 0], &[S, STRUCT | 1, 16, A, 2, 64]];
        assert_eq!(field(misfit, &["a"], Shape::Int(8)), Ok(8));
        assert_eq!(field(types, &["a"], Shape::Int(4)), Ok(4));
        assert_eq!(field(types, &["c", "a"], Shape::Int(4)), Ok(4));
    }

    #[test]
    fn typedefs_and_arrays_are_seen_through() {
        let types: &[&[u32]] = &[
            U32,
            &[0, ARRAY, 0, 1, 1, 6],
            &[C, TYPEDEF, 2],
            &[0, CONST, 3],
            &[S, STRUCT | 2, 28, B, 1, 0, A, 4, 32],
            &[0, CONST, 5],
            &[0, POINTER, 6],
        ];
        assert_eq!(field(types, &["a"], Shape::Bytes(24)), Ok(4));
        assert!(field(types, &["a"], Shape::Bytes(25)).is_err());
        assert!(field(types, &["a"], Shape::Int(4)).is_err());
    }

    #[test]
    fn a_pointer_reaches_its_structure_through_qualifiers() {
        let types: &[&[u32]] = &[&[0, CONST, 3], &[0, POINTER, 1], &[S, STRUCT | 1, 8, A, 2, 0]];
        assert_eq!(field(types, &["a"], Shape::Pointer("s")), Ok(0));
        assert!(field(types, &["a"], Shape::Pointer("a")).is_err());
    }

    #[test]
    fn an_offset_beyond_the_structure_is_damage() {
        let types: &[&[u32]] = &[U32, &[S, STRUCT | 1, 4, A, 1, 32]];
        let damaged = Err(FieldError::Outside { structure: "s", path: "a" });
        assert_eq!(field(types, &["a"], Shape::Int(4)), damaged);
    }

    #[test]
    fn loops_end() {
        let alias: &[&[u32]] = &[&[0, TYPEDEF, 2], &[0, CONST, 1], &[S, STRUCT | 1, 4, A, 1, 0]];
        assert!(matches!(field(alias, &["a"], Shape::Int(4)), Err(FieldError::WrongShape { .. })));
        let mut members = vec![S, STRUCT | 1000, 4];
        members.extend([0, 1, 0].repeat(1000));
        let nested: &[&[u32]] = &[&members];
        assert_eq!(field(nested, &["a"], Shape::Int(4)), Err(FieldError::TooNested("s")));
        let array: &[&[u32]] = &[&[0, ARRAY, 0, 1, 1, 1], &[S, STRUCT | 1, 4, A, 1, 0]];
        assert!(field(array, &["a"], Shape::Bytes(1)).is_err());
    }

    /// Without the bound on visits, eleven levels of a thousand members would never be done.
    #[test]
    fn wide_nesting_ends() {
        let mut types = Vec::new();
        for level in 1..=10u32 {
            let mut members = vec![0, STRUCT | 1000, 4];
            members.extend([0, level + 1, 0].repeat(1000));
            types.push(members);
        }
        types.push(vec![0, STRUCT | 1, 4, B, 0, 0]);
        types.push(vec![S, STRUCT | 1, 4, 0, 1, 0]);
        let types: Vec<&[u32]> = types.iter().map(Vec::as_slice).collect();
        assert_eq!(field(&types, &["a"], Shape::Int(4)), Err(FieldError::TooNested("s")));
    }
}
