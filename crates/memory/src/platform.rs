//! Everything that differs between systems. Memory of [`posix`] is compiled and tested on Linux too.

#[cfg_attr(
    not(target_vendor = "apple"),
    allow(dead_code, reason = "elsewhere it is used by its tests only")
)]
mod posix;
#[cfg(target_vendor = "apple")]
pub(crate) use posix::{add_seals, check, create, seals};
#[cfg(not(target_vendor = "apple"))]
mod sealed;
#[cfg(not(target_vendor = "apple"))]
pub(crate) use sealed::{add_seals, check, create, seals};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use linux::advise_huge_pages;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod other;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use other::advise_huge_pages;
