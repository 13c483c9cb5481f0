//! BTF of which only the ids of some types are left. The loader looks up what it attaches to by name, and takes 20 MiB for all of them.

use std::collections::HashSet;

use super::{Btf, Kind};

const FORWARD: u32 = 7 << 24;
const TYPEDEF: u32 = 8 << 24;
const FUNCTION: u32 = 12 << 24;

impl Btf {
    /// The functions and typedefs of these names, with the ids they have; a placeholder for every other type.
    pub fn skeleton(&self, names: &HashSet<String>) -> Vec<u8> {
        let mut types = Vec::new();
        let mut strings = vec![0];
        for id in self.ids() {
            let record = self.attachable(id, names).map(|(info, name)| {
                let at = u32::try_from(strings.len()).unwrap_or_default();
                strings.extend_from_slice(name.as_bytes());
                strings.push(0);
                [at, info, 0]
            });
            let words = record.unwrap_or([0, FORWARD, 0]);
            types.extend(words.into_iter().flat_map(u32::to_le_bytes));
        }
        blob(&types, &strings)
    }

    fn attachable(&self, id: u32, names: &HashSet<String>) -> Option<(u32, &str)> {
        let found = self.get(id)?;
        let info = match found.kind {
            Kind::Function => FUNCTION,
            Kind::Typedef => TYPEDEF,
            _ => return None,
        };
        let name = self.name(found.name);
        names.contains(name).then_some((info, name))
    }
}

fn blob(types: &[u8], strings: &[u8]) -> Vec<u8> {
    const HEADER: u32 = 24;
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or_default();
    let header = [HEADER, 0, length(types), length(types), length(strings)];
    let header = header.into_iter().flat_map(u32::to_le_bytes);
    [0x9f, 0xeb, 1, 0]
        .into_iter()
        .chain(header)
        .chain(types.iter().copied())
        .chain(strings.iter().copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use aya::{Btf as Loader, Endianness};

    use super::super::testing::blob;
    use super::{Btf, FUNCTION, TYPEDEF};

    #[test]
    fn ids_stay_as_they_are() {
        let types: &[&[u32]] = &[
            &[0, 1 << 24, 4, 32],
            &[1, TYPEDEF, 1],
            &[0, 13 << 24, 0],
            &[3, FUNCTION, 3],
            &[5, FUNCTION, 3],
        ];
        let btf = Btf::parse(&blob(types, "\0t\0f\0g\0")).unwrap();
        let names = HashSet::from(["t".to_owned(), "g".to_owned()]);
        let skeleton = btf.skeleton(&names);
        let again = Btf::parse(&skeleton).unwrap();
        let named = |id| again.name(again.get(id).unwrap().name).to_owned();
        assert_eq!([1, 2, 3, 4, 5].map(named), ["", "t", "", "", "g"]);
        assert!(Loader::parse(&skeleton, Endianness::default()).is_ok());
    }
}
