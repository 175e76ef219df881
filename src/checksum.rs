//! Checksums of files that hold them: CRC-32 over all bytes, with zeros for the digits themselves. They find what bad disks and
//! interrupted copies do, and are not meant against malice.

/// What is counted instead of the digits.
pub(crate) const BLANK: &str = "00000000";

/// Eight hexadecimal digits for bytes that come in parts.
pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = crc32fast::Hasher::new();
    parts.into_iter().for_each(|part| hasher.update(part));
    format!("{:08x}", hasher.finalize())
}

/// Where the digits begin that follow a key, which occurs once.
pub(crate) fn position(bytes: &[u8], key: &str) -> Option<usize> {
    let key = key.as_bytes();
    let start = bytes.windows(key.len()).position(|window| window == key)? + key.len();
    (start + BLANK.len() <= bytes.len()).then_some(start)
}

/// The checksum of bytes that hold one behind a key: what it should be, and what it is.
pub(crate) fn compare(bytes: &[u8], key: &str) -> Option<(String, String)> {
    let (before, rest) = bytes.split_at_checked(position(bytes, key)?)?;
    let (digits, after) = rest.split_at_checked(BLANK.len())?;
    Some((of([before, BLANK.as_bytes(), after]), String::from_utf8_lossy(digits).into_owned()))
}

/// Puts the checksum of bytes behind the key in them, where the zeros are.
pub(crate) fn seal(bytes: &mut [u8], key: &str) {
    let digits = of([&*bytes]);
    if let Some(start) = position(bytes, key)
        && let Some(blank) = bytes.get_mut(start..start + BLANK.len())
    {
        blank.copy_from_slice(digits.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_intact_and_any_other_bit_is_detected() {
        let key = "crc: ";
        let mut bytes = b"some text, crc: 00000000, and more of it".to_vec();
        seal(&mut bytes, key);
        let intact = compare(&bytes, key).unwrap();
        assert_eq!(intact.0, intact.1);
        // The CRC-32 of the bytes with zeros, by Python's zlib.crc32.
        assert_eq!(intact.0, "47e7600e");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(compare(&damaged, key).is_none_or(|(right, found)| right != found), "bit {bit}");
        }
        assert_eq!(compare(b"crc: 123", key), None);
        assert_eq!(compare(b"", key), None);
    }
}
