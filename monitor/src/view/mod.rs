//! Events as they come, on a terminal: what `bypassd watch` shows.
//!
//! Lines of events are read ([`feed`]), kept and filtered ([`model`]), keys change what is shown ([`keys`]), and all of it is drawn anew
//! ([`draw`]). The daemon that writes the events is a process of its own: nothing that happens here holds it up.

mod detail;
mod draw;
mod feed;
mod keys;
mod model;
mod row;

pub use self::draw::draw;
pub use self::feed::{Line, feed};
pub use self::keys::{Done, key};
pub use self::model::Model;

#[cfg(test)]
mod tests;
