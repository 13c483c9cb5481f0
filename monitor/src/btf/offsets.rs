//! Every field of the ABI, resolved: the table the programs are loaded with.

use std::collections::HashMap;

use monitor_abi::fields::{ABSENT, Field};

use super::{Btf, FieldError};

#[derive(Clone, Debug)]
pub struct Offsets {
    /// By [`Field`]; [`ABSENT`] for one this kernel does not have.
    pub table: [u32; Field::COUNT],
    pub missing: Vec<(Field, FieldError)>,
}

/// What the programs have to know of the running kernel.
#[derive(Clone, Debug)]
pub struct Types {
    pub offsets: Offsets,
    /// Parameter names of the functions that were asked for and that the kernel has.
    pub parameters: HashMap<&'static str, Vec<String>>,
}

impl Types {
    pub fn resolve(btf: &Btf, functions: impl Iterator<Item = &'static str>) -> Self {
        let parameters = functions.filter_map(|name| Some((name, owned(btf.function_parameters(name)?))));
        Self { offsets: Offsets::resolve(btf), parameters: parameters.collect() }
    }
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

impl Offsets {
    pub fn resolve(btf: &Btf) -> Self {
        let structures = structures(btf);
        let mut offsets = Self { table: [ABSENT; Field::COUNT], missing: Vec::new() };
        for (slot, field) in offsets.table.iter_mut().zip(Field::ALL) {
            let spec = field.spec();
            let candidates = structures.get(spec.structure.as_bytes()).map_or(&[][..], Vec::as_slice);
            match btf.field_in(candidates, &spec) {
                Ok(offset) => *slot = offset,
                Err(error) => offsets.missing.push((*field, error)),
            }
        }
        offsets
    }

    pub fn has(&self, field: Field) -> bool {
        self.table[field as usize] != ABSENT
    }
}

/// The definitions of every structure that a field is in, found in one scan.
fn structures(btf: &Btf) -> HashMap<&'static [u8], Vec<u32>> {
    let mut wanted: HashMap<&'static [u8], Vec<u32>> =
        Field::ALL.iter().map(|field| (field.spec().structure.as_bytes(), Vec::new())).collect();
    for id in btf.ids() {
        if let Some(found) = btf.structure_name(id).and_then(|name| wanted.get_mut(name)) {
            found.push(id);
        }
    }
    wanted
}
