//! The processes that end-to-end tests start to go through a side door.

fn main() {}
