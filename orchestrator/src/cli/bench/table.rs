//! The report of a run as text, for people.

use std::io::{self, Write};

use crate::bench::CATCH_UP_TIMEOUT;
use crate::bench::report::{Figures, FollowerFigures, Report};

/// Bytes of a megabyte.
const MEGA: f64 = 1e6;
/// The share of a core from which this program itself may be the bottleneck.
const BUSY: f64 = 0.9;

/// Writes the figures, and then what went wrong.
pub(super) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Report { plan, lifecycles, requests, log_text_bytes, .. } = report;
    let pace = plan.rate.map_or_else(
        || format!("{} at a time, one job after the other", plan.workers),
        |rate| format!("{rate} jobs/s on schedule, at most {} at a time", plan.workers),
    );
    let early = if report.interrupted { ", ended early" } else { "" };
    writeln!(out, "{} for {:.1} s{early}: {pace}", plan.server, report.seconds)?;
    writeln!(out, "{:>12.1} lifecycles/s ({} completed)", lifecycles.per_second, lifecycles.completed)?;
    writeln!(out, "{:>12.1} requests/s", requests.per_second)?;
    writeln!(out, "{:>12.2} MB/s of log text\n", log_text_bytes.per_second / MEGA)?;

    heading(out, "ms")?;
    for operation in &report.operations {
        row(out, operation.operation, &operation.figures)?;
    }
    writeln!(out)?;
    write_reads(out, report)?;
    write_followers(out, report)?;
    write_usage(out, report)?;
    write_troubles(out, report)
}

fn heading(out: &mut impl Write, unit: &str) -> io::Result<()> {
    writeln!(
        out,
        "{:<18}{:>10}{:>11}{:>11}{:>11}{:>11}",
        format!("in {unit}"),
        "count",
        "p50",
        "p95",
        "p99",
        "max"
    )
}

fn row(out: &mut impl Write, name: &str, figures: &Figures) -> io::Result<()> {
    let Figures { count, p50, p95, p99, max } = figures;
    writeln!(out, "{name:<18}{count:>10}{p50:>11.2}{p95:>11.2}{p99:>11.2}{max:>11.2}")
}

fn write_reads(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let lag = &report.projection_lag;
    writeln!(
        out,
        "read models behind the log: p50 {} events, {:.1} ms; p99 {} events, {:.1} ms",
        lag.events.p50, lag.age_ms.p50, lag.events.p99, lag.age_ms.p99
    )?;
    if let (Some(waiting), Some(again)) = (report.operation("read_back"), report.operation("read_again")) {
        writeln!(
            out,
            "a read waits for its write: p50 {:.2} ms longer, p99 {:.2} ms longer than a second read",
            waiting.p50 - again.p50,
            waiting.p99 - again.p99
        )?;
    }
    Ok(())
}

fn write_followers(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Some(followers) = &report.followers else { return Ok(()) };
    let kinds: [(&str, &FollowerFigures); 2] = [("events", &followers.events), ("logs", &followers.logs)];
    for (name, of) in kinds {
        writeln!(
            out,
            "followers of {name}: {} on {} streams, {} received, {} missed",
            of.clients, of.streams, of.received, of.missed
        )?;
    }
    if let Some(delivery) = &followers.events.delivery_ms {
        let Figures { p50, p95, p99, max, .. } = delivery;
        writeln!(
            out,
            "delivery of an event: p50 {p50:.2} ms, p95 {p95:.2} ms, p99 {p99:.2} ms, max {max:.2} ms"
        )?;
    }
    Ok(())
}

fn write_usage(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let own = &report.own_cpu;
    writeln!(
        out,
        "this program: {:.0} % of a core, {:.1} us a request",
        own.cores * 100.0,
        own.per_request_us
    )?;
    #[expect(clippy::cast_precision_loss, reason = "figures for reading")]
    if let Some(server) = &report.server {
        writeln!(
            out,
            "the server: {:.0} % of a core, {:.2} ms a lifecycle, {:.0} MB in memory",
            server.cores * 100.0,
            server.per_lifecycle_ms,
            server.rss_bytes as f64 / MEGA
        )?;
    }
    Ok(())
}

fn write_troubles(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.own_cpu.cores > BUSY {
        writeln!(out, "this program has used up its core: the server may take more than it was given")?;
    }
    if let Some(schedule) = &report.schedule
        && !schedule.kept
    {
        writeln!(
            out,
            "the server did not keep up: {} of {} jobs began late, {} not at all",
            schedule.late, schedule.arrivals, schedule.backlog
        )?;
    }
    if report.reconnects > 0 {
        writeln!(out, "{} connections were made again", report.reconnects)?;
    }
    if let Some(behind) = report.followers.as_ref().map(|of| of.behind).filter(|behind| *behind > 0) {
        writeln!(
            out,
            "{behind} followers had not received everything {} s after the load",
            CATCH_UP_TIMEOUT.as_secs()
        )?;
    }
    if report.stale_reads > 0 {
        writeln!(out, "{} stale reads", report.stale_reads)?;
    }
    for (kind, count) in &report.errors {
        writeln!(out, "{count} times {kind}")?;
    }
    for left in &report.left_behind {
        writeln!(out, "left on the server: {left}")?;
    }
    Ok(())
}
