//! Filters on IP addresses, networks and MAC addresses, as in the collection `ansible.utils`.

use std::net::IpAddr;

use ipnet::IpNet;
use minijinja::Error;

use super::addresses::{Address, QUERIES, at};
use crate::template::call::{Call, Definition, described, row};
use crate::value::Value;

/// A network with more parts than this would take the controller's memory.
const MAX_PARTS: u32 = 20;

pub(super) const FILTERS: &[Definition] = &[
    row(
        "ipaddr",
        "query='', version, alias",
        "What a query finds in an address, false for what is none",
        |call| match call.int("version")? {
            Some(4) => queried(call, Some(true)),
            Some(6) => queried(call, Some(false)),
            _ => queried(call, None),
        },
    ),
    row("ipv4", "query=''", "As `ipaddr`, of version 4 only", |call| {
        queried(call, Some(true))
    }),
    row("ipv6", "query=''", "As `ipaddr`, of version 6 only", |call| {
        queried(call, Some(false))
    }),
    row(
        "ipwrap",
        "query=''",
        "The address, of version 6 in brackets",
        |call| {
            each(call, call.data()?, &|value| {
                Ok(Address::parse(value).map_or_else(|| value.clone(), |address| address.wrapped().into()))
            })
        },
    ),
    row(
        "ipsubnet",
        "query='', index",
        "A network, a part of it, or their number",
        ipsubnet,
    ),
    row("ipmath", "amount", "The address so many further on", |call| {
        let address = address(call)?;
        let amount = call.int("amount")?.unwrap_or_default();
        moved(call, address.net.addr(), amount).map(|ip| ip.to_string().into())
    }),
    row(
        "network_in_usable",
        "test",
        "Whether a host of the network may have the address",
        |call| {
            let (network, ip) = (address(call)?, argument(call, "test")?);
            let (first, last) = network.usable();
            Ok((first..=last).contains(&at(ip.net.addr())).into())
        },
    ),
    row(
        "network_in_network",
        "test",
        "Whether the network holds an address or network",
        |call| {
            let (network, other) = (address(call)?, argument(call, "test")?);
            Ok(network.net.contains(&other.net).into())
        },
    ),
    row(
        "reduce_on_network",
        "network",
        "The addresses that are in a network",
        |call| {
            let network = argument(call, "network")?;
            let inside =
                |value: &Value| Address::parse(value).is_some_and(|one| network.net.contains(&one.net));
            let items = match call.data()? {
                Value::List(items) => items,
                one => vec![one],
            };
            Ok(Value::List(items.into_iter().filter(inside).collect()))
        },
    ),
    row(
        "cidr_merge",
        "action='merge'",
        "The networks, joined where they touch; `span`: the one around all",
        cidr_merge,
    ),
    row(
        "nthhost",
        "query",
        "An address of the network by its number",
        |call| {
            let network = address(call)?;
            let index = call.int("query")?.unwrap_or_default();
            Ok(network.nth(index).map(|ip| ip.to_string()).into())
        },
    ),
    row(
        "next_nth_usable",
        "offset",
        "The address so many further on, in the network",
        |call| neighbour(call, 1),
    ),
    row(
        "previous_nth_usable",
        "offset",
        "The address so many before, in the network",
        |call| neighbour(call, -1),
    ),
    row("ip4_hex", "delimiter=''", "The address in hexadecimal", |call| {
        let IpAddr::V4(ip) = address(call)?.net.addr() else {
            return Err(call.fail("it needs an address of version 4"));
        };
        let parts = ip.octets().map(|byte| format!("{byte:02x}"));
        Ok(parts.join(&call.string_or("delimiter", "")?).into())
    }),
    row(
        "ipv6form",
        "format",
        "The address with all its zeros (`expand`) or without (`compress`)",
        |call| {
            let IpAddr::V6(ip) = address(call)?.net.addr() else {
                return Err(call.fail("it needs an address of version 6"));
            };
            if call.string_or("format", "compress")? == "compress" {
                return Ok(ip.to_string().into());
            }
            let parts = ip.segments().map(|part| format!("{part:04x}"));
            Ok(parts.join(":").into())
        },
    ),
    row(
        "slaac",
        "query",
        "The address that a MAC address gives itself",
        |call| {
            let network = address(call)?;
            let mac = mac(&call.required("query")?.to_string())
                .ok_or_else(|| call.fail("it needs a MAC address"))?;
            let [a, b, c, d, e, f] = mac;
            let host = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
            let ip = std::net::Ipv6Addr::from(at(network.net.network()) | u128::from(host));
            Ok(ip.to_string().into())
        },
    ),
    row("hwaddr", "query=''", "A MAC address in a notation", hwaddr),
    row("macaddr", "query=''", "A MAC address in a notation", hwaddr),
];

fn address(call: &Call) -> Result<Address, Error> {
    let value = call.data()?;
    Address::parse(&value)
        .ok_or_else(|| call.fail(format!("it needs an address, and got {}", described(&value))))
}

fn argument(call: &Call, name: &str) -> Result<Address, Error> {
    let value = call.required(name)?;
    Address::parse(&value).ok_or_else(|| call.fail(format!("`{name}` is no address: {}", described(&value))))
}

/// Of a list: of each item, without those that come to nothing.
fn each(call: &Call, value: Value, run: &dyn Fn(&Value) -> Result<Value, Error>) -> Result<Value, Error> {
    let Value::List(items) = value else {
        return run(&value);
    };
    let mut found = Vec::new();
    for item in items {
        let value = each(call, item, run)?;
        if value.is_true() {
            found.push(value);
        }
    }
    Ok(found.into())
}

fn queried(call: &Call, version_4: Option<bool>) -> Result<Value, Error> {
    let query = call.string_or("query", "")?;
    each(call, call.data()?, &|value| {
        let Some(address) = Address::parse(value) else {
            return Ok(false.into());
        };
        // Asked for the other version, some addresses have a counterpart there.
        if version_4.is_some_and(|wanted| wanted != address.is_4()) {
            return Ok(false.into());
        }
        answer(&address, &query).map_err(|message| call.fail(message))
    })
}

fn answer(address: &Address, query: &str) -> Result<Value, String> {
    if let Some((_, run)) = QUERIES.iter().find(|(names, _)| names.contains(&query)) {
        return run(address);
    }
    if let Ok(index) = query.parse::<i64>() {
        if address.size() == 1 {
            return Ok(address.as_given().into());
        }
        let found = address.nth(index);
        return Ok(found
            .map(|ip| format!("{ip}/{}", address.net.prefix_len()))
            .into());
    }
    match Address::parse(&query.into()) {
        Some(network) if network.net.contains(&address.net) => Ok(address.as_given().into()),
        Some(_) => Ok(Value::Null),
        None => Err(format!("unknown filter type: {query}")),
    }
}

fn moved(call: &Call, ip: IpAddr, amount: i64) -> Result<IpAddr, Error> {
    let sum = at(ip).checked_add_signed(i128::from(amount));
    let moved = match ip {
        IpAddr::V4(_) => sum
            .and_then(|sum| u32::try_from(sum).ok())
            .map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(_) => sum.map(|bits| IpAddr::V6(bits.into())),
    };
    moved.ok_or_else(|| call.fail("there is no such address"))
}

fn neighbour(call: &Call, direction: i64) -> Result<Value, Error> {
    let network = address(call)?;
    let offset = call.int("offset")?.unwrap_or(1).saturating_mul(direction);
    let (first, last) = network.usable();
    let ip = moved(call, network.net.addr(), offset)?;
    Ok(if network.size() > 1 && (first..=last).contains(&at(ip)) {
        ip.to_string().into()
    } else {
        Value::Null
    })
}

fn ipsubnet(call: &Call) -> Result<Value, Error> {
    let value = call.data()?;
    let Some(given) = Address::parse(&value) else {
        return Ok(false.into());
    };
    let network = given.net.trunc();
    let query = call.string_or("query", "")?;
    if query.is_empty() {
        return Ok(network.to_string().into());
    }
    let Ok(prefix) = query.parse::<u8>() else {
        let around = argument(call, "query")?.net.trunc();
        if !around.contains(&network) {
            return Err(call.fail(format!("{network} is not in the subnet {around}")));
        }
        let parts = at(network.network()) - at(around.network());
        let index = parts >> (network.max_prefix_len() - network.prefix_len());
        return Ok(Value::from(
            index
                .to_string()
                .parse::<i64>()
                .unwrap_or(i64::MAX)
                .saturating_add(1),
        ));
    };
    let index = call.int("index")?;
    let one = network.prefix_len() == network.max_prefix_len();
    let Some(index) = index else {
        if one {
            return supernet(network, prefix)
                .map_or_else(|| Ok(false.into()), |network| Ok(network.to_string().into()));
        }
        let bits = u32::from(prefix.saturating_sub(network.prefix_len()));
        return Ok(1_i64.checked_shl(bits).unwrap_or(i64::MAX).into());
    };
    if one {
        // Index 1 is one bit narrower than index 0.
        let narrower = u8::try_from(index)
            .ok()
            .and_then(|index| prefix.checked_add(index));
        let found = narrower.and_then(|prefix| supernet(network, prefix));
        return Ok(found.map_or(Value::Bool(false), |network| network.to_string().into()));
    }
    if u32::from(prefix.saturating_sub(network.prefix_len())) > MAX_PARTS {
        return Err(call.fail("there are too many subnets of that size"));
    }
    let mut parts: Vec<IpNet> = network
        .subnets(prefix)
        .map_err(|error| call.fail(error.to_string()))?
        .collect();
    if index < 0 {
        parts.reverse();
    }
    let at = usize::try_from(if index < 0 { -index - 1 } else { index }).unwrap_or(usize::MAX);
    Ok(parts
        .get(at)
        .map_or(Value::Bool(false), |network| network.to_string().into()))
}

fn supernet(network: IpNet, prefix: u8) -> Option<IpNet> {
    IpNet::new(network.addr(), prefix)
        .ok()
        .map(|network| network.trunc())
}

fn cidr_merge(call: &Call) -> Result<Value, Error> {
    let mut networks = Vec::new();
    for item in call.list()? {
        let parsed = Address::parse(&item);
        networks.push(
            parsed
                .ok_or_else(|| call.fail(format!("{item} is no network")))?
                .net
                .trunc(),
        );
    }
    if call.string_or("action", "merge")? == "merge" {
        let mut merged = IpNet::aggregate(&networks);
        merged.sort();
        return Ok(merged.iter().map(ToString::to_string).collect::<Vec<_>>().into());
    }
    let Some(mut around) = networks.first().copied() else {
        return Ok(Value::Null);
    };
    while !networks.iter().all(|network| around.contains(network)) {
        around = around
            .supernet()
            .ok_or_else(|| call.fail("the networks are of different versions"))?;
    }
    Ok(around.to_string().into())
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let parts: Vec<&str> = text.split([':', '-', '.']).collect();
    let digits: String = match parts.len() {
        6 => parts.iter().map(|part| format!("{part:0>2}")).collect(),
        3 => parts.iter().map(|part| format!("{part:0>4}")).collect(),
        2 => parts.iter().map(|part| format!("{part:0>6}")).collect(),
        1 => text.to_owned(),
        _ => return None,
    };
    let number = (digits.len() == 12).then(|| u64::from_str_radix(&digits, 16).ok())??;
    number.to_be_bytes()[2..].try_into().ok()
}

fn hwaddr(call: &Call) -> Result<Value, Error> {
    let query = call.string_or("query", "")?;
    each(call, call.data()?, &|value| {
        let Some(mac) = mac(&value.to_string()) else {
            return match query.as_str() {
                "" => Ok("".into()),
                "bool" => Ok(false.into()),
                _ => Err(call.fail(format!("not a hardware address: {value}"))),
            };
        };
        let hex = mac.map(|byte| format!("{byte:02x}"));
        let whole = hex.concat();
        Ok(match query.as_str() {
            "" => value.clone(),
            "bool" => true.into(),
            "int" => i64::from_str_radix(&whole, 16).unwrap_or_default().into(),
            "bare" => whole.to_uppercase().into(),
            "linux" => hex.join(":").into(),
            "unix" => mac.map(|byte| format!("{byte:x}")).join(":").into(),
            "win" | "eui48" => hex.join("-").to_uppercase().into(),
            "cisco" => format!("{}.{}.{}", &whole[..4], &whole[4..8], &whole[8..]).into(),
            "pgsql" | "postgresql" | "psql" => format!("{}:{}", &whole[..6], &whole[6..]).into(),
            _ => return Err(call.fail(format!("unknown filter type: {query}"))),
        })
    })
}
