//! One IP address with its network, and what can be asked about it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::value::Value;

/// An address, alone or in a network.
pub(super) struct Address {
    pub(super) net: IpNet,
    /// Written without a prefix.
    alone: bool,
}

/// An address as a number.
pub(super) fn at(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

impl Address {
    /// `address`, `address/prefix`, `address/netmask`, or a number.
    pub(super) fn parse(value: &Value) -> Option<Self> {
        let text = match value {
            Value::Str(text) => text.trim().to_owned(),
            Value::Int(number) => number.to_string(),
            _ => return None,
        };
        if let Ok(number) = text.parse::<u128>() {
            let ip = match u32::try_from(number) {
                Ok(number) => IpAddr::V4(Ipv4Addr::from(number)),
                Err(_) => IpAddr::V6(Ipv6Addr::from(number)),
            };
            return Some(Self {
                net: ip.into(),
                alone: true,
            });
        }
        let net = match text.split_once('/') {
            None => IpNet::from(text.parse::<IpAddr>().ok()?),
            Some((ip, prefix)) => {
                let ip: IpAddr = ip.parse().ok()?;
                match prefix.parse::<u8>() {
                    Ok(prefix) => IpNet::new(ip, prefix).ok()?,
                    Err(_) => IpNet::with_netmask(ip, prefix.parse().ok()?).ok()?,
                }
            }
        };
        Some(Self {
            net,
            alone: !text.contains('/'),
        })
    }

    pub(super) fn is_4(&self) -> bool {
        self.net.addr().is_ipv4()
    }

    /// How many addresses the network has; the largest number stands for all of version 6.
    pub(super) fn size(&self) -> u128 {
        let bits = u32::from(self.net.max_prefix_len() - self.net.prefix_len());
        1_u128.checked_shl(bits).unwrap_or(u128::MAX)
    }

    pub(super) fn as_given(&self) -> String {
        if self.alone {
            self.net.addr().to_string()
        } else {
            self.net.to_string()
        }
    }

    pub(super) fn wrapped(&self) -> String {
        match self.net.addr() {
            IpAddr::V4(_) => self.as_given(),
            IpAddr::V6(ip) if self.alone => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[{ip}]/{}", self.net.prefix_len()),
        }
    }

    /// An address of the network by its number, from the end where it is negative.
    pub(super) fn nth(&self, index: i64) -> Option<IpAddr> {
        let distance = u128::from(index.unsigned_abs());
        if distance > self.size() || (index >= 0 && distance == self.size()) {
            return None;
        }
        let bits = if index < 0 {
            at(self.net.broadcast()) + 1 - distance
        } else {
            at(self.net.network()) + distance
        };
        Some(self.of(bits))
    }

    fn of(&self, bits: u128) -> IpAddr {
        match u32::try_from(bits) {
            Ok(bits) if self.is_4() => IpAddr::V4(bits.into()),
            _ => IpAddr::V6(bits.into()),
        }
    }

    /// The first and the last address that a host may have.
    pub(super) fn usable(&self) -> (u128, u128) {
        let (first, last) = (at(self.net.network()), at(self.net.broadcast()));
        if self.size() <= 2 {
            (first, last)
        } else {
            (first + 1, last - 1)
        }
    }

    /// Whether it is a network's name rather than a host's.
    fn is_network(&self) -> bool {
        self.size() > 1 && self.net.addr() == self.net.network()
    }

    fn is_host(&self) -> bool {
        !self.is_network() || self.size() == 2
    }

    fn cidr(&self) -> String {
        self.net.to_string()
    }

    fn given_if(&self, holds: bool) -> Value {
        if holds {
            self.as_given().into()
        } else {
            Value::Null
        }
    }

    fn is_private(&self) -> bool {
        match self.net.addr() {
            IpAddr::V4(ip) => {
                let [a, b, ..] = ip.octets();
                ip.is_private()
                    || ip.is_loopback()
                    || ip.is_link_local()
                    || ip.is_documentation()
                    || ip.is_unspecified()
                    || a >= 240
                    || (a == 198 && (b == 18 || b == 19))
            }
            IpAddr::V6(ip) => {
                let [a, b, ..] = ip.segments();
                ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_unique_local()
                    || ip.is_unicast_link_local()
                    || (a == 0x2001 && b == 0xdb8)
            }
        }
    }

    fn is_link_local(&self) -> bool {
        match self.net.addr() {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        }
    }

    fn reverse_name(&self) -> String {
        match self.net.addr() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
            }
            IpAddr::V6(ip) => {
                let digits: Vec<char> = format!("{:032x}", u128::from(ip)).chars().rev().collect();
                let labels: Vec<String> = digits.iter().map(ToString::to_string).collect();
                format!("{}.ip6.arpa.", labels.join("."))
            }
        }
    }

    fn of_network(&self, run: impl Fn(u128, u128) -> Value) -> Result<Value, String> {
        if self.size() == 1 {
            return Err("Not a network address".to_owned());
        }
        let (first, last) = self.usable();
        Ok(run(first, last))
    }

    /// A neighbour, where a host may have its address.
    fn beside(&self, bits: Option<u128>) -> Result<Value, String> {
        self.of_network(|first, last| match bits {
            Some(bits) if (first..=last).contains(&bits) => self.of(bits).to_string().into(),
            _ => Value::Null,
        })
    }
}

/// A number that may be larger than a value's.
fn number(number: u128) -> Value {
    i64::try_from(number).map_or_else(|_| number.to_string().into(), Value::Int)
}

type Query = fn(&Address) -> Result<Value, String>;

/// What can be asked, by all names that it has.
pub(super) const QUERIES: &[(&[&str], Query)] = &[
    (&[""], |a| Ok(a.as_given().into())),
    (&["address", "ip"], |a| {
        Ok((a.is_host() || !a.is_4())
            .then(|| a.net.addr().to_string())
            .into())
    }),
    (
        &[
            "address/prefix",
            "gateway",
            "gw",
            "host/prefix",
            "hostnet",
            "router",
        ],
        |a| {
            Ok(if a.is_host() {
                a.cidr().into()
            } else {
                false.into()
            })
        },
    ),
    (&["host"], |a| Ok(a.is_host().then(|| a.cidr()).into())),
    (&["ip/prefix"], |a| {
        Ok((a.is_host() && a.size() > 1).then(|| a.cidr()).into())
    }),
    (&["ip_netmask"], |a| {
        let text = format!("{} {}", a.net.addr(), a.net.netmask());
        Ok((a.is_host() && a.size() > 1).then_some(text).into())
    }),
    (&["ip_wildcard"], |a| {
        let text = format!("{} {}", a.net.addr(), a.net.hostmask());
        Ok((a.is_host() && a.size() > 1).then_some(text).into())
    }),
    (&["cidr"], |a| Ok(a.cidr().into())),
    (&["net"], |a| Ok(a.is_network().then(|| a.cidr()).into())),
    (&["network", "network_id"], |a| {
        Ok(a.net.network().to_string().into())
    }),
    (&["network/prefix", "subnet"], |a| {
        Ok(a.net.trunc().to_string().into())
    }),
    (&["network_netmask"], |a| {
        Ok(format!("{} {}", a.net.network(), a.net.netmask()).into())
    }),
    (&["network_wildcard"], |a| {
        Ok(format!("{} {}", a.net.network(), a.net.hostmask()).into())
    }),
    (&["prefix"], |a| Ok(Value::Int(a.net.prefix_len().into()))),
    (&["netmask"], |a| Ok(a.net.netmask().to_string().into())),
    (&["hostmask", "wildcard"], |a| {
        Ok(a.net.hostmask().to_string().into())
    }),
    (&["broadcast"], |a| {
        Ok((a.size() > 1).then(|| a.net.broadcast().to_string()).into())
    }),
    (&["size"], |a| Ok(number(a.size()))),
    (&["first_usable"], |a| {
        a.of_network(|first, _| a.of(first).to_string().into())
    }),
    (&["last_usable"], |a| {
        a.of_network(|_, last| a.of(last).to_string().into())
    }),
    (&["range_usable"], |a| {
        a.of_network(|first, last| format!("{}-{}", a.of(first), a.of(last)).into())
    }),
    (&["next_usable"], |a| a.beside(at(a.net.addr()).checked_add(1))),
    (&["previous_usable"], |a| {
        a.beside(at(a.net.addr()).checked_sub(1))
    }),
    (&["peer"], |a| match a.size() {
        2 => a.beside(Some(at(a.net.addr()) ^ 1)),
        4 if a.is_host() && a.net.addr() != a.net.broadcast() => a.beside(Some(at(a.net.addr()) ^ 3)),
        1 => Err("Not a network address".to_owned()),
        _ => Err("Not a point-to-point network".to_owned()),
    }),
    (&["public"], |a| {
        Ok(a.given_if(!a.is_private() && !a.net.addr().is_multicast()))
    }),
    (&["private"], |a| Ok(a.given_if(a.is_private()))),
    (&["link-local"], |a| Ok(a.given_if(a.is_link_local()))),
    (
        &["loopback", "lo"],
        |a| Ok(a.given_if(a.net.addr().is_loopback())),
    ),
    (&["multicast"], |a| Ok(a.given_if(a.net.addr().is_multicast()))),
    (&["unicast"], |a| Ok(a.given_if(!a.net.addr().is_multicast()))),
    (&["revdns", "reverse"], |a| Ok(a.reverse_name().into())),
    (&["int"], |a| {
        let bits = at(a.net.addr());
        Ok(if a.alone {
            number(bits)
        } else {
            format!("{bits}/{}", a.net.prefix_len()).into()
        })
    }),
    (&["bool"], |_| Ok(true.into())),
    (&["type"], |a| {
        Ok(if a.is_network() { "network" } else { "address" }.into())
    }),
    (&["version"], |a| Ok(Value::Int(if a.is_4() { 4 } else { 6 }))),
    (&["wrap"], |a| Ok(a.wrapped().into())),
    (&["6to4"], |a| match a.net.addr() {
        IpAddr::V4(ip) if !a.is_network() => {
            let [a, b, c, d] = ip.octets();
            Ok(format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1/48").into())
        }
        _ => Ok(false.into()),
    }),
    (&["ipv4", "v4"], |a| match a.net.addr() {
        IpAddr::V4(_) => Ok(a.as_given().into()),
        IpAddr::V6(ip) => Ok(ip
            .to_ipv4_mapped()
            .map_or(Value::Bool(false), |ip| format!("{ip}/32").into())),
    }),
    (&["ipv6", "v6"], |a| match a.net.addr() {
        IpAddr::V6(_) => Ok(a.as_given().into()),
        IpAddr::V4(ip) => Ok(format!("{}/128", ip.to_ipv6_mapped()).into()),
    }),
];
