//! The header codec.

use fdwire_framing::{Error, Header};
use proptest::prelude::*;

#[test]
fn the_long_form_is_accepted_for_any_length() {
    for body_len in [0, 5, 0x7fff_ffff, 0x8000_0000, u64::MAX] {
        let mut bytes = vec![0xff; 4];
        bytes.extend(body_len.to_be_bytes());
        assert_eq!(Header::decode(&bytes), Ok(Some((12, body_len))));
    }
}

#[test]
fn a_negative_length_is_refused_from_its_four_bytes_alone() {
    for length in [i32::MIN, -1000, -2] {
        assert_eq!(
            Header::decode(&length.to_be_bytes()),
            Err(Error::NegativeLength(length))
        );
    }
}

#[test]
fn a_partial_header_needs_more() {
    for header in [Header::encode(5), Header::encode(0x8000_0000)] {
        for len in 0..header.as_bytes().len() {
            assert_eq!(Header::decode(&header.as_bytes()[..len]), Ok(None));
        }
    }
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(body_len: u64, behind: Vec<u8>) {
        let header = Header::encode(body_len);
        let bytes = [header.as_bytes(), &behind].concat();
        prop_assert_eq!(Header::decode(&bytes), Ok(Some((header.as_bytes().len(), body_len))));
    }

    #[test]
    fn nothing_panics_it(bytes: Vec<u8>) {
        let _ = Header::decode(&bytes);
    }
}
