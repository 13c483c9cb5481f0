//! The node's own addresses, from process 1's network namespace: the daemon may run in another.

mod news;
mod read;

use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;

use self::news::News;
use super::Identity;

/// At most a tenth of the time goes into looks that nobody said are needed.
const SHARE: u32 = 10;

/// Every address the node answers on, loopback left out. What changes is known at the next access to one of them.
pub struct Addresses {
    known: Vec<IpNet>,
    /// None where the namespace may not be entered.
    news: Option<News>,
    /// Without news: when an address that is not known may be looked for again.
    due: Instant,
}

impl Addresses {
    pub fn of_node(identity: &Identity) -> Self {
        let news = News::of_node(identity)
            .inspect_err(|error| tracing::debug!(%error, "cannot be told when the node's addresses change"))
            .ok();
        let mut addresses = Self { known: Vec::new(), news, due: Instant::now() };
        addresses.read_again();
        addresses
    }

    pub fn known(&self) -> &[IpNet] {
        &self.known
    }

    /// Looks again if one of these may be, or may have been, the node's since a moment ago.
    pub fn check(&mut self, addresses: &[IpAddr]) {
        let mut others = addresses
            .iter()
            .map(IpAddr::to_canonical)
            .filter(|address| !address.is_loopback() && !address.is_unspecified())
            .peekable();
        if others.peek().is_none() {
            return;
        }
        let is_known = |address: IpAddr| self.known.iter().any(|known| known.contains(&address));
        let stale = match &self.news {
            Some(news) => news.any(),
            None => self.due <= Instant::now() && others.any(|address| !is_known(address)),
        };
        if stale {
            self.read_again();
        }
    }

    pub fn read_again(&mut self) {
        let started = Instant::now();
        match read::addresses() {
            Ok(known) => self.known = known,
            Err(error) => tracing::warn!(%error, "cannot read the node's addresses"),
        }
        self.due = Instant::now() + started.elapsed() * SHARE;
    }
}
