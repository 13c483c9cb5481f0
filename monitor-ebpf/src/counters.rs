//! What the kernel side counts. The daemon adds the values of all CPUs and reports them in `health` events.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// Index into the per-CPU array of counters.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Counter {
            $($(#[$doc])* $name,)+
        }

        impl Counter {
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name it is reported under.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

counters! {
    /// Accesses that matched a watch.
    Hit = "hits",
    /// Records handed to the ring buffer.
    Emitted = "emitted",
    /// Records lost because the ring buffer was full.
    LostRingFull = "lost_ring_full",
    /// Records lost because the CPU's scratch space was in use by an interrupted capture.
    LostBusy = "lost_busy",
    /// Accesses lost because the map of scratch space could not be read.
    LostInternal = "lost_internal",
    /// Accesses that were counted instead of recorded, because their process repeats them.
    Repeated = "repeated",
    /// Own accesses left out.
    Own = "own",
}

impl Counter {
    #[expect(clippy::cast_possible_truncation, reason = "a handful; try_from is not const")]
    pub const COUNT: u32 = Self::ALL.len() as u32;

    /// Whether the counter stands for accesses that never reach the daemon.
    pub const fn is_loss(self) -> bool {
        match self {
            Self::LostRingFull | Self::LostBusy | Self::LostInternal => true,
            Self::Hit | Self::Emitted | Self::Repeated | Self::Own => false,
        }
    }
}
