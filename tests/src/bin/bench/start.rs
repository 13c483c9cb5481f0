//! What a start takes, and what is resident afterwards.

use std::time::Duration;

use anyhow::Result;
use tests::daemon::{manifests, program};

use crate::Effort;
use crate::figure::{Budget, Samples, figure};
use crate::running::{Running, mebibytes};

/// Long enough for everything that a start leaves behind to be given back.
const SETTLED: Duration = Duration::from_secs(2);

pub fn measure(effort: Effort) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut times = Vec::new();
    let mut peaks = Vec::new();
    for _ in 0..effort.pick(5, 21) {
        let daemon = Running::start(&manifests(dir.path(), ""))?;
        times.push(daemon.armed_after.as_secs_f64() * 1e3);
        peaks.push(mebibytes(daemon.pid(), "VmHWM")?);
        daemon.stop()?;
    }
    let times = Samples::new(times);
    figure("start to armed", times.median(), " ms", &times.spread(), &Budget::AtMost(300.0));
    figure("resident at most during the start", Samples::new(peaks).median(), " MiB", "", &Budget::None);
    let daemon = Running::start(&manifests(dir.path(), ""))?;
    std::thread::sleep(SETTLED);
    figure("resident when idle", mebibytes(daemon.pid(), "VmRSS")?, " MiB", "", &Budget::AtMost(20.0));
    daemon.stop().map(drop)
}

pub fn size(_: Effort) -> Result<()> {
    let bytes = std::fs::metadata(program()?)?.len();
    #[expect(clippy::cast_precision_loss, reason = "a few million")]
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    figure("release binary", mebibytes, " MiB", "", &Budget::AtMost(10.0));
    Ok(())
}
