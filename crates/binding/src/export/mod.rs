//! What JavaScript calls, one file for each kind of thing.

mod connection;
mod descriptor;
mod epoll;
mod hot;
mod kqueue;
mod listener;
mod poll;
mod pool;
mod selector;
mod shared_memory;
mod socket;
mod watch;
