//! The report as OpenMetrics text, for Prometheus and whatever reads its format.
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::own;
use super::report::Report;
use super::tally::BOUNDS;

/// The content type of what is written.
pub(super) const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn text(report: Report) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Source(report)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Source(Report);

impl Collector for Source {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        self.about(encoder)?;
        self.sight(encoder)?;
        self.events(encoder)?;
        self.losses(encoder)?;
        self.policy(encoder)?;
        process(encoder)
    }
}

impl Source {
    fn about(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let backend = self.0.backend.map_or("none", |backend| backend.name());
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("backend", backend)];
        gauges(encoder, "bypassd_build_info", "The program, and the set of hooks that runs.", [(labels, 1)])
    }

    fn sight(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Report { hooks, targets, missing, .. } = &self.0;
        let attached = hooks.iter().map(|(hook, attached)| ([("hook", hook.as_str())], u64::from(*attached)));
        gauges(encoder, "bypassd_hook_attached", "Whether the kernel hook is attached.", attached)?;
        let targets = targets.iter().flat_map(|(class, targets)| {
            [("armed", targets.armed), ("waiting", targets.waiting)]
                .map(|(state, count)| ([("class", class.name()), ("state", state)], count))
        });
        gauges(
            encoder,
            "bypassd_targets",
            "Watched objects, and those that are not there yet, by class.",
            targets,
        )?;
        let help = "Things the daemon did itself that did not come back through the kernel; 0 is well.";
        gauge(encoder, "bypassd_canary_missing", help, None, &(missing.len() as u64))
    }

    fn events(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Report { kernel, emitted, tally, .. } = &self.0;
        let alerts = tally
            .alerts
            .iter()
            .map(|((rule, severity), count)| ([("rule", *rule), ("severity", severity.name())], *count));
        counters(encoder, "bypassd_alerts", "Accesses that no rule allows, by detection.", alerts)?;
        let left_out = self.0.left_out.iter().map(|(rule, count)| ([("rule", *rule)], *count));
        counters(encoder, "bypassd_alerts_left_out", "Alerts beyond --alerts-per-minute.", left_out)?;
        let allowed = tally.allowed.iter().map(|(class, count)| ([("class", class.name())], *count));
        counters(encoder, "bypassd_allowed", "Accesses that a rule allows.", allowed)?;
        let kernel = kernel.iter().map(|(kind, count)| ([("kind", *kind)], *count));
        counters(encoder, "bypassd_kernel_records", "What the kernel programs counted, by kind.", kernel)?;
        counter(encoder, "bypassd_output_events", "Events that were written.", &emitted.written)?;
        let help = "Events that wait to be written.";
        gauge(encoder, "bypassd_output_queue_length", help, None, &emitted.queued)?;
        if let Some(last) = tally.last {
            let help = "Time of the last alert, since 1970.";
            gauge(encoder, "bypassd_last_alert_timestamp", help, Some(&Unit::Seconds), &last)?;
        }
        self.latency(encoder)
    }

    fn latency(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let latency = &self.0.tally.latency;
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(latency.buckets).collect();
        encoder
            .encode_descriptor(
                "bypassd_alert_latency",
                "From the access to its event being handed to the writer.",
                Some(&Unit::Seconds),
                MetricType::Histogram,
            )?
            .encode_histogram::<NoLabelSet>(latency.sum, latency.buckets.iter().sum(), &buckets, None)
    }

    fn losses(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let lost = self.0.lost.iter().map(|(reason, count)| ([("reason", reason.as_str())], *count));
        let help = "Accesses and events that were lost, by the reasons of `health` events.";
        counters(encoder, "bypassd_lost", help, lost)
    }

    fn policy(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let tally = &self.0.tally;
        let results = [("success", tally.reloaded), ("failure", tally.reload_failed)];
        let results = results.map(|(result, count)| ([("result", result)], count));
        counters(encoder, "bypassd_config_reloads", "Times the policy was read again.", results)?;
        let Some(read) = tally.policy_read else { return Ok(()) };
        let help = "When the policy in force was read, since 1970.";
        gauge(encoder, "bypassd_config_last_reload_success_timestamp", help, Some(&Unit::Seconds), &read)
    }
}

/// What Prometheus' own clients tell of a process. What cannot be read is left out.
fn process(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    if let Some(seconds) = own::cpu_seconds() {
        counter(encoder, "process_cpu_seconds", "Processor time used.", &seconds)?;
    }
    if let Some(bytes) = own::resident_bytes() {
        gauge(encoder, "process_resident_memory_bytes", "Memory in use.", None, &bytes)?;
    }
    if let Some(count) = own::open_descriptors() {
        gauge(encoder, "process_open_fds", "Open descriptors.", None, &count)?;
    }
    Ok(())
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: &impl EncodeGaugeValue,
) -> fmt::Result {
    encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(value)
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: &impl EncodeCounterValue,
) -> fmt::Result {
    count(&mut encoder.encode_descriptor(name, help, None, MetricType::Counter)?, value)
}

fn count(encoder: &mut MetricEncoder<'_>, value: &impl EncodeCounterValue) -> fmt::Result {
    encoder.encode_counter::<NoLabelSet, _, u64>(value, None)
}

fn gauges<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    values.into_iter().try_for_each(|(labels, value)| family.encode_family(&labels)?.encode_gauge(&value))
}

fn counters<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    values.into_iter().try_for_each(|(labels, value)| count(&mut family.encode_family(&labels)?, &value))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;
    use crate::model::{Backend, Class, Severity};
    use crate::status::{Tally, Targets};

    fn sample() -> Report {
        let mut tally = Tally::default();
        tally.alert("credential.read", Severity::High, Duration::from_micros(300), 1.5e9);
        tally.alert("credential.read", Severity::High, Duration::from_millis(3), 1.5e9);
        tally.allowed(Class::RuntimeApi);
        tally.policy(true, 1.6e9);
        Report {
            backend: Some(Backend::Fentry),
            hooks: [("security_file_open".to_owned(), true), ("a\"b\\c\n".to_owned(), false)].into(),
            targets: [(Class::RuntimeApi, Targets { armed: 2, waiting: 1 })].into(),
            lost: [("output_queue_full".to_owned(), 4)].into(),
            kernel: [("hits", 7)].into(),
            tally,
            ..Report::default()
        }
    }

    #[test]
    fn all_is_there() {
        let text = text(sample()).unwrap();
        for line in [
            "bypassd_hook_attached{hook=\"security_file_open\"} 1",
            "bypassd_hook_attached{hook=\"a\\\"b\\\\c\\n\"} 0",
            "bypassd_targets{class=\"runtime_api\",state=\"armed\"} 2",
            "bypassd_canary_missing 0",
            "bypassd_alerts_total{rule=\"credential.read\",severity=\"high\"} 2",
            "bypassd_allowed_total{class=\"runtime_api\"} 1",
            "bypassd_kernel_records_total{kind=\"hits\"} 7",
            "bypassd_lost_total{reason=\"output_queue_full\"} 4",
            "bypassd_alert_latency_seconds_bucket{le=\"0.0005\"} 1",
            "bypassd_alert_latency_seconds_bucket{le=\"0.005\"} 2",
            "bypassd_alert_latency_seconds_bucket{le=\"+Inf\"} 2",
            "bypassd_alert_latency_seconds_count 2",
            "bypassd_config_reloads_total{result=\"success\"} 1",
        ] {
            assert!(text.lines().any(|known| known == line), "no {line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        assert!(text.contains("process_open_fds "));
    }

    #[test]
    fn no_line_is_there_twice() {
        let text = text(sample()).unwrap();
        let names: Vec<_> = text.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{text}");
    }
}
