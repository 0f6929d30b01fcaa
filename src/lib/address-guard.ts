/** Judges which addresses may be dialled on behalf of users: by default only addresses of the public internet (no private, loopback or special ranges). */
import { Resolver } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { blockedAddress, type ConnectionGuard } from './http-connector.js';

export interface AddressGuardOptions {
  /** True only while Signpost itself can be reached from this machine alone. */
  allowLoopback: boolean;
  /** Ranges that the operator opened, e.g. `192.168.3.0/24`; the metadata addresses stay closed. */
  allowCidrs?: readonly string[];
  /** Name of the setting that opens ranges, for the message. */
  setting?: string;
  /** DNS servers as `address:port`; the system's unless given. */
  dnsServers?: readonly string[];
  /** How long DNS may take for one name; a shorter one, for tests. */
  dnsWithinMs?: number;
}

export interface AddressGuard extends ConnectionGuard {
  /** True when the operator opened ranges: names of private networks may lead there. */
  allowsNames: boolean;
  /**
   * @param host a host name, or an IP literal without brackets
   * @returns its addresses, every one of which may be dialled
   * @throws Error with code ERR_BLOCKED_ADDRESS when any of them may not be dialled, ENOTFOUND when there is no such name, EAI_AGAIN when DNS doesn't answer
   */
  resolve(host: string): Promise<{ address: string; family: 4 | 6 }[]>;
}

type Range = readonly [cidr: string, name: string];

// Special-purpose ranges of the IANA registries, and clouds' metadata addresses that lie in public space.
const DENIED_V4: readonly Range[] = [
  ['0.0.0.0/8', 'a "this network" address'], ['10.0.0.0/8', 'a private address'], ['100.64.0.0/10', 'a carrier-internal address'],
  ['127.0.0.0/8', 'a loopback address'], ['169.254.0.0/16', 'a link-local address'], ['172.16.0.0/12', 'a private address'],
  ['192.0.0.0/24', 'a reserved address'], ['192.0.2.0/24', 'a documentation address'], ['192.31.196.0/24', 'a reserved address'],
  ['192.52.193.0/24', 'a reserved address'], ['192.88.99.0/24', 'a reserved address'], ['192.168.0.0/16', 'a private address'],
  ['192.175.48.0/24', 'a reserved address'], ['198.18.0.0/15', 'a benchmarking address'], ['198.51.100.0/24', 'a documentation address'],
  ['203.0.113.0/24', 'a documentation address'], ['224.0.0.0/4', 'a multicast address'], ['240.0.0.0/4', 'a reserved address'],
  ['168.63.129.16/32', "a cloud's internal address"],
];
// IPv6 is denied by default: only global unicast is open, minus what tunnels to IPv4 or is set aside.
const OPEN_V6 = '2000::/3';
const DENIED_V6: readonly Range[] = [
  ['2001::/23', 'a reserved address'], ['2001:db8::/32', 'a documentation address'], ['2002::/16', 'a 6to4 address'],
  ['2620:4f:8000::/48', 'a reserved address'], ['3fff::/20', 'a documentation address'],
];
const NAMED_V6: readonly Range[] = [
  ['::1/128', 'a loopback address'], ['::/128', 'the unspecified address'], ['fc00::/7', 'a private address'], ['fe80::/10', 'a link-local address'],
  ['ff00::/8', 'a multicast address'], ['::ffff:0:0/96', 'an IPv4 address in IPv6 clothes'], ['64:ff9b::/96', 'a NAT64 address'],
];
const LOOPBACK: readonly string[] = ['127.0.0.0/8', '::1/128'];
/** Cloud metadata services: whoever reaches one may hold the machine's keys, so no setting opens them. */
const NEVER: readonly string[] = ['169.254.0.0/16', '100.100.100.200/32', '192.0.0.192/32', '168.63.129.16/32', 'fd00:ec2::254/128', 'fd20:ce::254/128', 'fe80::/10'];

const denied = DENIED_V4.concat(DENIED_V6).map(([cidr, name]) => ({ list: listOf([cidr]), name, family: familyOf(cidr) }));
const named = NAMED_V6.map(([cidr, name]) => ({ list: listOf([cidr]), name }));
const openV6 = listOf([OPEN_V6]);
const never = listOf(NEVER);

/** Less than a connection may take, so that DNS is blamed for what is its fault. */
const DNS_WITHIN_MS = 4_000;
/** When there are addresses of one family, the other's are not waited for much longer: some name servers never answer for IPv6. */
const OTHER_WITHIN_MS = 1_000;

export function createAddressGuard(options: AddressGuardOptions): AddressGuard {
  const setting = options.setting ?? 'WEBHOOK_ALLOW_CIDRS';
  const opened = splitByFamily([...(options.allowLoopback ? LOOPBACK : []), ...(options.allowCidrs ?? [])]);
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  if (options.dnsServers !== undefined) resolver.setServers(options.dnsServers);

  function refusal(address: string): string | null {
    const family = isIP(address);
    // A zone id (fe80::1%eth0) is accepted by isIP, so it is refused by name.
    if (family === 0 || address.includes('%')) return `${address || 'An unknown address'} is not an IP address that can be called.`;
    const type = family === 4 ? 'ipv4' : 'ipv6';
    if (isNever(address, family)) return `${address} is a machine-internal (metadata or link-local) address; it can't be called.`;
    // The lists are kept apart by family: BlockList would match ::ffff:127.0.0.1 against an IPv4 range.
    if (opened[family === 4 ? 4 : 6].check(address, type)) return null;
    const name = family === 4 ? nameOf(address, 4) : openV6.check(address, 'ipv6') ? nameOf(address, 6) : (named.find(({ list }) => list.check(address, 'ipv6'))?.name ?? 'not a public address');
    if (name === null) return null;
    return `${address} is ${name}. Only public addresses can be called; the operator of this Signpost can open a range with ${setting}.`;
  }

  async function resolve(host: string): Promise<{ address: string; family: 4 | 6 }[]> {
    const name = host.replace(/\.$/, '').toLowerCase();
    const found = await addressesOf(name, resolver, options.dnsWithinMs ?? DNS_WITHIN_MS);
    for (const { address } of found) {
      const reason = refusal(address);
      // One forbidden answer refuses the name: keeping the others would let a hostile zone choose between them.
      if (reason !== null) throw blockedAddress(isIP(name) === 0 ? `${name} leads to ${reason}` : reason);
    }
    return found;
  }

  const lookup: LookupFunction = (hostname, lookupOptions, callback) => {
    resolve(hostname).then(
      (found) => {
        const wanted = found.filter(({ family }) => lookupOptions.family === undefined || lookupOptions.family === 0 || lookupOptions.family === family);
        const first = wanted[0];
        if (first === undefined) callback(notFound(hostname), '');
        else if (lookupOptions.all === true) callback(null, wanted);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    );
  };

  return { refusal, resolve, lookup, allowsNames: (options.allowCidrs ?? []).length > 0 };
}

/** Also inside IPv6 addresses that lead to an IPv4 one: opening a translation's range must not open what lies behind it. */
function isNever(address: string, family: number): boolean {
  if (family === 4) return never.check(address, 'ipv4');
  return never.check(address, 'ipv6') || embeddedV4(address).some((inner) => never.check(inner, 'ipv4'));
}

/** The IPv4 addresses that this one may lead to, by the ways of writing one in the other: 6to4, Teredo (inverted), NAT64 in each layout of RFC 6052, mapped, compatible, translated and ISATAP. */
function embeddedV4(address: string): string[] {
  const bytes = bytesOfV6(address);
  const pick = (...positions: number[]) => positions.map((position) => bytes[position]).join('.');
  const begins = (...start: number[]) => start.every((byte, i) => bytes[i] === byte);
  if (begins(0x20, 0x02)) return [pick(2, 3, 4, 5)];
  if (begins(0x20, 0x01, 0, 0)) return [bytes.slice(12).map((byte) => byte ^ 255).join('.')];
  if (begins(0, 0x64, 0xff, 0x9b)) return [pick(12, 13, 14, 15), pick(6, 7, 9, 10), pick(7, 9, 10, 11), pick(9, 10, 11, 12)];
  const isIsatap = (bytes[8] === 0 || bytes[8] === 2) && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe;
  return begins(0, 0, 0, 0, 0, 0, 0, 0) || isIsatap ? [pick(12, 13, 14, 15)] : [];
}

function bytesOfV6(address: string): number[] {
  // The URL parser writes every notation, also with a dotted end, as hex groups.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]);
}

/** Is this `address/bits`? */
function isCidr(cidr: string): boolean {
  const [address, bits, ...rest] = cidr.split('/');
  const family = isIP(address ?? '');
  return family !== 0 && rest.length === 0 && /^\d{1,3}$/.test(bits ?? '') && Number(bits) <= (family === 4 ? 32 : 128);
}

async function addressesOf(name: string, resolver: Resolver, withinMs: number): Promise<{ address: string; family: 4 | 6 }[]> {
  const literal = isIP(name);
  if (literal !== 0) return [{ address: name, family: literal === 4 ? 4 : 6 }];
  // RFC 6761: these names are loopback wherever they are asked for.
  if (name === 'localhost' || name.endsWith('.localhost')) return [{ address: '127.0.0.1', family: 4 }, { address: '::1', family: 6 }];
  // c-ares, not getaddrinfo: a slow zone must not occupy the few threads that the process shares.
  const [v4, v6] = await askBoth(name, resolver, withinMs);
  const found = [
    ...(v4.status === 'fulfilled' ? v4.value : []).map((address) => ({ address, family: 4 as const })),
    ...(v6.status === 'fulfilled' ? v6.value : []).map((address) => ({ address, family: 6 as const })),
  ];
  if (found.length > 0) return found;
  const definite = [v4, v6].every((answer) => answer.status === 'fulfilled' || ['ENOTFOUND', 'ENODATA', 'EBADNAME'].includes(String((answer.reason as NodeJS.ErrnoException).code)));
  throw definite ? notFound(name) : noAnswer(name);
}

/** With a deadline of our own: c-ares takes its time-outs for advice, and may take several times as long. */
async function askBoth(name: string, resolver: Resolver, withinMs: number): Promise<[PromiseSettledResult<string[]>, PromiseSettledResult<string[]>]> {
  let giveUp = (): void => undefined;
  const over = new Promise<never>((_resolve, reject) => {
    giveUp = () => reject(noAnswer(name));
  });
  over.catch(() => undefined);
  const timers = [setTimeout(giveUp, withinMs)];
  const ask = async (query: Promise<string[]>): Promise<string[]> => {
    const found = await Promise.race([query, over]);
    if (found.length > 0) timers.push(setTimeout(giveUp, Math.min(OTHER_WITHIN_MS, withinMs)));
    return found;
  };
  try {
    return await Promise.allSettled([ask(resolver.resolve4(name)), ask(resolver.resolve6(name))]);
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

function noAnswer(name: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`DNS gave no answer for ${name}`), { code: 'EAI_AGAIN' });
}

function notFound(name: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`there is no address for the name ${name}`), { code: 'ENOTFOUND' });
}

function nameOf(address: string, family: 4 | 6): string | null {
  const type = family === 4 ? 'ipv4' : 'ipv6';
  return denied.find((range) => range.family === family && range.list.check(address, type))?.name ?? null;
}

function familyOf(cidr: string): 4 | 6 {
  return cidr.includes(':') ? 6 : 4;
}

function listOf(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    if (!isCidr(cidr)) throw new Error(`${cidr} is not a range such as 192.168.3.0/24 or fd12:3456::/48`);
    const [address, bits] = cidr.split('/');
    list.addSubnet(address!, Number(bits), familyOf(cidr) === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

function splitByFamily(cidrs: readonly string[]): Record<4 | 6, BlockList> {
  return { 4: listOf(cidrs.filter((cidr) => familyOf(cidr) === 4)), 6: listOf(cidrs.filter((cidr) => familyOf(cidr) === 6)) };
}
