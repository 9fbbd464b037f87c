//! Preparing memory changes nothing of what is in it, whatever its size and wherever it begins.

use fdwire_ancillary::prepare_memory;

#[test]
fn prepared_memory_keeps_its_bytes() {
    let mut memory: Vec<u8> = (0..5_000_000u32).map(|index| index as u8).collect();
    for range in [0..0, 1..2, 3..200_000, 1..5_000_000] {
        prepare_memory(&mut memory[range]);
    }
    assert!(
        memory
            .iter()
            .zip(0..)
            .all(|(&byte, index): (&u8, u32)| byte == index as u8)
    );
}
