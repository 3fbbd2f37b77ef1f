//! `health`: asks a running server for its health, and answers with the exit code. The image's health check.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;

use crate::config;

/// A server that takes longer than this counts as unhealthy.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct HealthOptions {
    /// Address that the server listens on
    #[arg(
        long,
        env = "RIVET_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080",
        value_parser = config::address
    )]
    listen: SocketAddr,

    /// Ask whether it is ready to take requests, not only whether it is alive
    #[arg(long)]
    ready: bool,
}

pub(super) async fn run(options: HealthOptions) -> anyhow::Result<()> {
    let address = reachable(options.listen);
    let path = if options.ready { "/readyz" } else { "/api/health" };
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    let answer = client
        .get(format!("http://{address}{path}"))
        .send()
        .await
        .with_context(|| format!("no answer from {address}"))?;
    ensure!(answer.status().is_success(), "{address} answered {}", answer.status());
    Ok(())
}

/// The address to ask: the loopback address, if the server listens on every interface.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_every_interface_is_asked_on_the_loopback() {
        let asked = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(asked("[::]:80"), "[::1]:80");
        assert_eq!(asked("10.0.0.1:80"), "10.0.0.1:80");
    }
}
