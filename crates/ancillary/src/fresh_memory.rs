//! Memory that is about to be read into.

use std::sync::Once;

use crate::platform;

/// From this size on, huge pages halve the time that filling fresh memory takes.
const HUGE: usize = 2 * 1024 * 1024;

/// Makes large fresh buffers cheaper to fill, this one and those that come after it. Only advice.
#[doc(alias = "MADV_HUGEPAGE", alias = "M_TRIM_THRESHOLD")]
pub fn prepare_memory(buffer: &mut [u8]) {
    static KEEP: Once = Once::new();
    KEEP.call_once(platform::keep_freed_memory);
    if buffer.len() >= HUGE {
        platform::advise_huge_pages(buffer);
    }
}
