//! Writes small BTF blobs by hand, for tests of what real kernels do not have.

/// Types are given as words: name offset, info, size or type, then what the kind adds.
pub(super) fn blob(types: &[&[u32]], strings: &str) -> Vec<u8> {
    let types: Vec<u8> = types.concat().iter().flat_map(|word| word.to_le_bytes()).collect();
    let (size, text) = (u32::try_from(types.len()).unwrap(), u32::try_from(strings.len()).unwrap());
    let header = [24, 0, size, size, text].into_iter().flat_map(u32::to_le_bytes);
    [0x9f, 0xeb, 1, 0].into_iter().chain(header).chain(types).chain(strings.bytes()).collect()
}
