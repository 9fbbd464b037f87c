//! Raw Node-API: the arguments of plain callbacks, buffers held beyond a call, a loaded copy of the JavaScript layer.

pub(crate) mod arguments;
pub(crate) mod ending;
pub(crate) mod guard;
pub(crate) mod held_array;
pub(crate) mod held_buffer;
pub(crate) mod realm;
