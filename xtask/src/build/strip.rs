//! Leaves out of the kernel programs' object what the kernel does not read: the debug information that BTF was made from, three
//! quarters of the file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use object::build::elf::{Builder, SectionData};
use object::elf::SHT_STRTAB;

/// Writes a smaller copy beside the object.
pub fn debug_information(object: &Path) -> Result<PathBuf> {
    let name = object.display();
    let data = fs::read(object).with_context(|| format!("cannot read {name}"))?;
    let mut builder = Builder::read(&*data).map_err(|error| anyhow!("cannot read {name}: {error}"))?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        section.delete = name.starts_with(b".debug_") || name.starts_with(b".rel.debug_");
    }
    builder.delete_orphans();
    // LLVM keeps the names of sections with those of symbols; here they get a section of their own.
    let names = builder.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = SHT_STRTAB;
    names.data = SectionData::SectionString;
    let mut out = Vec::new();
    builder.write(&mut out).map_err(|error| anyhow!("cannot write {name} smaller: {error}"))?;
    let small = object.with_extension("small");
    // The daemon is built anew, which takes minutes, when its kernel programs have another time.
    if fs::read(&small).is_ok_and(|there| there == out) {
        return Ok(small);
    }
    fs::write(&small, out).with_context(|| format!("cannot write {}", small.display()))?;
    Ok(small)
}
