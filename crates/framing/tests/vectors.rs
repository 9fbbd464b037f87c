//! The headers CPython writes, recorded from it.

use fdwire_framing::Header;

const VECTORS: &str = include_str!("vectors.json");

/// The `(n, header_hex)` pairs of the file: an array of flat objects.
fn vectors() -> Vec<(u64, Vec<u8>)> {
    fn value<'a>(object: &'a str, key: &str) -> &'a str {
        let (_, rest) = object.split_once(&format!("\"{key}\":")).expect(key);
        rest.trim_matches(|c: char| c.is_whitespace() || c == '"')
            .split(['"', ',', '\n'])
            .next()
            .expect(key)
    }
    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
            .collect()
    }
    let objects = VECTORS
        .split('{')
        .skip(1)
        .map(|rest| rest.split('}').next().expect("object"));
    objects
        .map(|object| {
            (
                value(object, "n").parse().expect("n"),
                bytes(value(object, "header_hex")),
            )
        })
        .collect()
}

#[test]
fn headers_are_those_of_cpython() {
    assert_eq!(vectors().len(), 7);
    for (body_len, bytes) in vectors() {
        assert_eq!(Header::encode(body_len).as_bytes(), bytes, "{body_len}");
        assert_eq!(Header::decode(&bytes), Ok(Some((bytes.len(), body_len))));
    }
}
