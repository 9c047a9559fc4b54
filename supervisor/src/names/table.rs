// SPDX-License-Identifier: Apache-2.0
//! [`NameTable`]: names by address, replaced as a whole, read without waiting.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;

/// The names of an address, sorted.
type Names = Vec<Arc<str>>;

/// What is known now.
#[derive(Debug, Default)]
pub(crate) struct NameTable(ArcSwap<HashMap<IpAddr, Names>>);

impl NameTable {
    /// The names that stand for an address. An IPv4 address in IPv6's form is the IPv4 address.
    pub(crate) fn of(&self, address: IpAddr) -> Names {
        self.0.load().get(&address.to_canonical()).cloned().unwrap_or_default()
    }

    /// Takes these names with their addresses for all there is.
    pub(crate) fn replace<'a>(&self, names: impl Iterator<Item = (&'a Arc<str>, &'a [IpAddr])>) {
        let mut table: HashMap<IpAddr, Names> = HashMap::new();
        for (name, addresses) in names {
            for address in addresses {
                table.entry(address.to_canonical()).or_default().push(Arc::clone(name));
            }
        }
        for names in table.values_mut() {
            names.sort_unstable();
        }
        self.0.store(Arc::new(table));
    }
}
