//! Sets up linking against Node-API.

fn main() {
    napi_build::setup();
}
