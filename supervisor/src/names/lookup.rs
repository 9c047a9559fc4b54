// SPDX-License-Identifier: Apache-2.0
//! From a name to its addresses, as the host's `/etc/hosts` and `/etc/resolv.conf` say; the only file that names the crate.
//!
//! The C library's `getaddrinfo` loads the host's plug-ins at run time, which a static executable must not do.

use std::{
    collections::HashMap,
    fs::{self, File},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use hickory_resolver::{
    Hosts, Resolver, TokioResolver,
    config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::op::ResponseCode,
    proto::rr::Name,
};
use tokio::{runtime::Builder, task::JoinSet};

/// Names that are asked for at the same time: a server that does not answer holds up no more than these.
const AT_ONCE: usize = 16;
/// Addresses of one name; a service of the largest kind answers with some ten.
const MAX_ADDRESSES: usize = 64;

/// Where names are looked up.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Addresses before DNS is asked.
    pub(super) hosts: Hosts,
    /// The servers.
    pub(super) servers: ResolverConfig,
    /// How they are asked.
    pub(super) options: ResolverOpts,
}

impl Sources {
    /// What the host says now.
    pub(super) fn of_the_host() -> Self {
        let mut hosts = Hosts::default();
        let read = File::open("/etc/hosts").and_then(|file| hosts.read_hosts_conf(file));
        if let Err(error) = read {
            tracing::debug!(%error, "`/etc/hosts` is not read");
        }
        let content = fs::read("/etc/resolv.conf").unwrap_or_default();
        let (servers, options) = parse_servers(&content);
        Self { hosts, servers, options }
    }

    fn into_resolver(self) -> Result<TokioResolver, NetError> {
        let Self { hosts, servers, mut options } = self;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // How long answers are used is decided by who asks.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let builder = Resolver::builder_with_config(servers, TokioRuntimeProvider::default()).with_options(options);
        let mut resolver = builder.build()?;
        resolver.set_hosts(Arc::new(hosts));
        Ok(resolver)
    }
}

/// The servers of a `resolv.conf`. As for the C library, what is wrong counts as left out, and without a server there is
/// one on this host.
pub(super) fn parse_servers(content: &[u8]) -> (ResolverConfig, ResolverOpts) {
    let (read, errors) = resolv_conf::Config::parse_with_errors(content);
    if !errors.is_empty() {
        tracing::debug!(?errors, "`/etc/resolv.conf` is understood in part");
    }
    let mut servers: Vec<IpAddr> = read.nameservers.iter().map(IpAddr::from).collect();
    if servers.is_empty() {
        servers.push(Ipv4Addr::LOCALHOST.into());
    }
    let servers = servers.into_iter().map(NameServerConfig::udp_and_tcp).collect();
    let domains = read.get_last_search_or_domain();
    let search = domains.filter_map(|domain| Name::from_str_relaxed(domain).ok()).collect();
    let mut options = ResolverOpts::default();
    options.ndots = usize::try_from(read.ndots).unwrap_or(1);
    options.timeout = Duration::from_secs(read.timeout.into());
    options.attempts = usize::try_from(read.attempts).unwrap_or(1);
    options.edns0 = read.edns0;
    (ResolverConfig::from_parts(None, search, servers), options)
}

/// The addresses of names, sorted. A name is missing where nobody could say what its addresses are; it has none where it
/// does not exist.
pub(super) fn look_up(sources: Sources, names: &[Arc<str>]) -> HashMap<Arc<str>, Vec<IpAddr>> {
    let runtime = match Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no names can be resolved");
            return HashMap::new();
        }
    };
    runtime.block_on(async {
        let resolver = match sources.into_resolver() {
            Ok(resolver) => resolver,
            Err(error) => {
                tracing::error!(%error, "no names can be resolved");
                return HashMap::new();
            }
        };
        let mut found = HashMap::new();
        for names in names.chunks(AT_ONCE) {
            let mut tasks = JoinSet::new();
            for name in names {
                let (resolver, name) = (resolver.clone(), Arc::clone(name));
                tasks.spawn(async move {
                    let addresses = addresses(&resolver, &name).await;
                    (name, addresses)
                });
            }
            while let Some(ended) = tasks.join_next().await {
                if let Ok((name, Some(addresses))) = ended {
                    found.insert(name, addresses);
                }
            }
        }
        found
    })
}

async fn addresses(resolver: &TokioResolver, name: &str) -> Option<Vec<IpAddr>> {
    match resolver.lookup_ip(name).await {
        Ok(found) => {
            let mut addresses: Vec<_> = found.iter().take(MAX_ADDRESSES).collect();
            addresses.sort_unstable();
            addresses.dedup();
            Some(addresses)
        }
        Err(error) => {
            tracing::debug!(name, %error, "a name is not resolved");
            has_no_address(&error).then(Vec::new)
        }
    }
}

/// Whether a server said so, in contrast to servers that are silent or broken.
fn has_no_address(error: &NetError) -> bool {
    if let NetError::Dns(DnsError::NoRecordsFound(answer)) = error {
        return matches!(answer.response_code, ResponseCode::NXDomain | ResponseCode::NoError);
    }
    false
}
