//! The `--audit-*` flags, and the auditor that they describe.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use audit::{Auditor, Batching, Format, LogFile, Mode, Policy, Rotation, Sinks, Truncation, WebhookSink};
use clap::ArgAction;
use component::flags::duration;
use webhooks::Client;

/// The flags of auditing.
#[derive(Debug, Clone, clap::Args)]
pub struct AuditFlags {
    /// File (Policy of audit.k8s.io/v1) that says of which requests how much is written down
    #[arg(long, value_name = "FILE")]
    pub audit_policy_file: Option<PathBuf>,
    /// File that events are written to; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub audit_log_path: Option<PathBuf>,
    /// How an event is written: json or legacy
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub audit_log_format: String,
    /// When events are written: blocking, blocking-strict or batch
    #[arg(long, value_name = "MODE", default_value = "blocking")]
    pub audit_log_mode: String,
    /// How many days old files are kept; 0 for ever
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    pub audit_log_maxage: u64,
    /// How many old files are kept; 0 for all
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub audit_log_maxbackup: usize,
    /// How large a file becomes before another is begun, in megabytes; 0 for 100
    #[arg(long, value_name = "MEGABYTES", default_value_t = 0)]
    pub audit_log_maxsize: u64,
    /// Whether old files are packed by gzip
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub audit_log_compress: bool,
    /// How many events wait to be written, in mode batch
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    pub audit_log_batch_buffer_size: usize,
    /// How many events are written at once, in mode batch
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub audit_log_batch_max_size: usize,
    /// How long events wait for others, in mode batch
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub audit_log_batch_max_wait: Duration,
    /// Whether batches are held back, in mode batch
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub audit_log_batch_throttle_enable: bool,
    /// How many batches are written in a second, where they are held back
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0)]
    pub audit_log_batch_throttle_qps: f64,
    /// How many batches are written at once where none was written before
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub audit_log_batch_throttle_burst: usize,
    /// Whether large events are cut, and larger ones left out
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub audit_log_truncate_enabled: bool,
    /// How large an event may be, in bytes: a larger one loses its bodies
    #[arg(long, value_name = "BYTES", default_value_t = 102_400)]
    pub audit_log_truncate_max_event_size: usize,
    /// How large the events may be together that are written at once, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 10_485_760)]
    pub audit_log_truncate_max_batch_size: usize,
    /// Version of the events in the log
    #[arg(long, value_name = "VERSION", default_value = "audit.k8s.io/v1")]
    pub audit_log_version: String,
    /// Kubeconfig of a service that events are sent to
    #[arg(long, value_name = "FILE")]
    pub audit_webhook_config_file: Option<PathBuf>,
    /// When events are sent: batch, blocking or blocking-strict
    #[arg(long, value_name = "MODE", default_value = "batch")]
    pub audit_webhook_mode: String,
    /// How many events wait to be sent, in mode batch
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    pub audit_webhook_batch_buffer_size: usize,
    /// How many events are sent at once, in mode batch
    #[arg(long, value_name = "NUMBER", default_value_t = 400)]
    pub audit_webhook_batch_max_size: usize,
    /// How long events wait for others, in mode batch
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub audit_webhook_batch_max_wait: Duration,
    /// Whether batches are held back
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub audit_webhook_batch_throttle_enable: bool,
    /// How many batches are sent in a second
    #[arg(long, value_name = "NUMBER", default_value_t = 10.0)]
    pub audit_webhook_batch_throttle_qps: f64,
    /// How many batches are sent at once where none was sent before
    #[arg(long, value_name = "NUMBER", default_value_t = 15)]
    pub audit_webhook_batch_throttle_burst: usize,
    /// Whether large events are cut, and larger ones left out
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub audit_webhook_truncate_enabled: bool,
    /// How large an event may be, in bytes: a larger one loses its bodies
    #[arg(long, value_name = "BYTES", default_value_t = 102_400)]
    pub audit_webhook_truncate_max_event_size: usize,
    /// How large the events may be together that are sent at once, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 10_485_760)]
    pub audit_webhook_truncate_max_batch_size: usize,
    /// How long a batch waits before it is sent again
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub audit_webhook_initial_backoff: Duration,
    /// Version of the events that are sent
    #[arg(long, value_name = "VERSION", default_value = "audit.k8s.io/v1")]
    pub audit_webhook_version: String,
}

/// Writes the events that were gathered.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The auditor that the flags describe, and the tasks that write what it gathers; none, where nothing is audited.
pub fn load(flags: &AuditFlags) -> anyhow::Result<Option<(Arc<Auditor>, Vec<Task>)>> {
    let (log_mode, webhook_mode) =
        (mode("log", &flags.audit_log_mode)?, mode("webhook", &flags.audit_webhook_mode)?);
    for version in [&flags.audit_log_version, &flags.audit_webhook_version] {
        ensure!(version == "audit.k8s.io/v1", "invalid audit version {version:?}: it is audit.k8s.io/v1");
    }
    let format = match flags.audit_log_format.as_str() {
        "json" => Format::Json,
        "legacy" => Format::Legacy,
        other => anyhow::bail!("invalid audit log format {other}, allowed formats are \"legacy,json\""),
    };
    let Some(path) = &flags.audit_policy_file else {
        if flags.audit_log_path.is_some() || flags.audit_webhook_config_file.is_some() {
            tracing::warn!("no audit policy file provided, no events will be recorded");
        }
        return Ok(None);
    };
    let context = || format!("--audit-policy-file {}", path.display());
    let policy = Policy::read(&std::fs::read_to_string(path).with_context(context)?).with_context(context)?;
    let mut sinks = Sinks::default();
    let mut tasks = Vec::new();
    let mut is_written = false;
    if let Some(path) = &flags.audit_log_path {
        let rotation = Rotation {
            max_size: flags.audit_log_maxsize,
            max_backups: flags.audit_log_maxbackup,
            max_age: flags.audit_log_maxage,
            compress: flags.audit_log_compress,
        };
        let log = LogFile::open(path, format, rotation)
            .with_context(|| format!("--audit-log-path {}", path.display()))?;
        let batching = Batching {
            buffer_size: flags.audit_log_batch_buffer_size,
            max_size: flags.audit_log_batch_max_size,
            max_wait: flags.audit_log_batch_max_wait,
            throttle: flags
                .audit_log_batch_throttle_enable
                .then_some((flags.audit_log_batch_throttle_qps, flags.audit_log_batch_throttle_burst)),
            truncation: flags.audit_log_truncate_enabled.then_some(Truncation {
                max_event: flags.audit_log_truncate_max_event_size,
                max_batch: flags.audit_log_truncate_max_batch_size,
            }),
        };
        tasks.extend(log.add_to(&mut sinks, log_mode, batching));
        is_written = true;
    }
    if let Some(path) = &flags.audit_webhook_config_file {
        let client = Client::of_kubeconfig(path).context("--audit-webhook-config-file")?;
        let batching = Batching {
            buffer_size: flags.audit_webhook_batch_buffer_size,
            max_size: flags.audit_webhook_batch_max_size,
            max_wait: flags.audit_webhook_batch_max_wait,
            throttle: flags.audit_webhook_batch_throttle_enable.then_some((
                flags.audit_webhook_batch_throttle_qps,
                flags.audit_webhook_batch_throttle_burst,
            )),
            truncation: flags.audit_webhook_truncate_enabled.then_some(Truncation {
                max_event: flags.audit_webhook_truncate_max_event_size,
                max_batch: flags.audit_webhook_truncate_max_batch_size,
            }),
        };
        let webhook = WebhookSink::new(client, flags.audit_webhook_initial_backoff);
        tasks.extend(webhook.add_to(&mut sinks, webhook_mode, batching));
        is_written = true;
    }
    Ok(is_written.then(|| (Auditor::new(policy, sinks), tasks)))
}

fn mode(of: &str, text: &str) -> anyhow::Result<Mode> {
    match text {
        "batch" => Ok(Mode::Batch),
        "blocking" | "blocking-strict" => Ok(Mode::Blocking),
        other => anyhow::bail!(
            "invalid audit {of} mode {other}, allowed modes are \"batch,blocking,blocking-strict\""
        ),
    }
}
