use monitor::btf::{Btf, Offsets};

/// The kernel's type information.
pub fn btf(data: &[u8]) {
    let btf = match Btf::parse(data) {
        Ok(btf) => btf,
        Err(error) => {
            let _words = error.to_string();
            return;
        }
    };
    let offsets = Offsets::resolve(&btf);
    for (_, error) in &offsets.missing {
        let _words = error.to_string();
    }
    let names = std::collections::HashSet::from(["security_file_open".to_owned(), String::new()]);
    let _skeleton = btf.skeleton(&names);
    for id in btf.ids() {
        // Every type that has a beginning can be decoded, whatever it refers to.
        let found = btf.get(id).expect("a type of the index");
        let _name = btf.name(found.name);
        let _behind = btf.unalias(id);
        let _length = found.array();
        assert!(found.members().count() + found.parameters().count() <= data.len());
    }
    let _parameters = btf.function_parameters("security_file_open");
}
