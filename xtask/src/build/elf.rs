//! As much of ELF64 (little endian) as telling a static binary takes.

const INTERPRETER: u32 = 3;

/// A static binary has no program header that names an interpreter. `None` when this is no such file.
pub fn wants_interpreter(file: &[u8]) -> Option<bool> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(field(file, 32)?)).ok()?;
    let size = usize::from(u16::from_le_bytes(field(file, 54)?));
    let count = usize::from(u16::from_le_bytes(field(file, 56)?));
    for index in 0..count {
        let header = table.checked_add(index.checked_mul(size)?)?;
        if u32::from_le_bytes(field(file, header)?) == INTERPRETER {
            return Some(true);
        }
    }
    Some(false)
}

fn field<const N: usize>(file: &[u8], offset: usize) -> Option<[u8; N]> {
    file.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::wants_interpreter;

    fn file(kind: u32) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32] = 64;
        file[54] = 56;
        file[56] = 1;
        file[64..68].copy_from_slice(&kind.to_le_bytes());
        file
    }

    #[test]
    fn tells_static_from_dynamic() {
        assert_eq!(wants_interpreter(&file(1)), Some(false));
        assert_eq!(wants_interpreter(&file(3)), Some(true));
    }

    #[test]
    fn a_cut_file_is_no_answer() {
        assert_eq!(wants_interpreter(&file(1)[..100]).map(|_| ()), Some(()));
        assert_eq!(wants_interpreter(&file(1)[..66]), None);
        assert_eq!(wants_interpreter(b"#!/bin/sh"), None);
    }
}
