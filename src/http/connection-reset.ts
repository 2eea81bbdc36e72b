import { dlopen, FFIType } from 'bun:ffi';
import { readdirSync } from 'node:fs';

/** A connection of this process. */
export interface ConnectionEnds {
  readonly localPort: number;
  /** Of the other end, as the runtime writes it. */
  readonly address: string;
  readonly port: number;
}

/** Where Linux shows what a process has open. */
const openFiles = '/proc/self/fd';
/** The C library, as GNU's and as musl's are named. */
const libraries = ['libc.so.6', `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`];
const families = { unspecified: 0, ip4: 2, ip6: 10 } as const;
const addressBytes = 28;

/**
 * Resets connections, with all that waits in the system to be sent: the runtime closes one only when it has been silent, and
 * then lets the rest go. Linux takes `connect` to no address for that. Elsewhere nothing is reset.
 */
export class ConnectionResetter {
  readonly #system = systemCalls();
  /** The connections by their ports; good for as long as nothing else can run, so that no number becomes another's. */
  #open: ReadonlyMap<string, readonly number[]> | undefined;

  /** @returns false where it is not there, or cannot be reset */
  reset({ localPort, address, port }: ConnectionEnds): boolean {
    const system = this.#system;
    if (system === undefined) return false;
    if (this.#open === undefined) {
      this.#open = openConnections(system);
      queueMicrotask(() => (this.#open = undefined));
    }
    const wanted = canonical(address);
    const descriptor = (this.#open.get(`${localPort} ${port}`) ?? []).find((each) => {
      const other = socketAddress(system.getpeername, each);
      return other !== undefined && addressOf(other) === wanted;
    });
    if (descriptor === undefined) return false;
    const nowhere = new Uint8Array(addressBytes);
    nowhere[0] = families.unspecified;
    return system.connect(descriptor, nowhere, nowhere.byteLength) === 0;
  }
}

type NameOf = (descriptor: number, address: Uint8Array, length: Uint32Array) => number;

interface SystemCalls {
  readonly connect: (descriptor: number, address: Uint8Array, length: number) => number;
  readonly getpeername: NameOf;
  readonly getsockname: NameOf;
}

/** Undefined where they are not to be had. */
function systemCalls(): SystemCalls | undefined {
  if (process.platform !== 'linux') return undefined;
  for (const library of libraries) {
    try {
      const named = { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 } as const;
      const { symbols } = dlopen(library, {
        connect: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
        getpeername: named,
        getsockname: named,
      });
      return symbols;
    } catch {
      continue;
    }
  }
  return undefined;
}

function openConnections(system: SystemCalls): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, number[]>();
  for (const name of readdirSync(openFiles)) {
    const descriptor = Number(name);
    const other = socketAddress(system.getpeername, descriptor);
    const own = other && socketAddress(system.getsockname, descriptor);
    if (other === undefined || own === undefined) continue;
    const ports = `${portOf(own)} ${portOf(other)}`;
    found.set(ports, [...(found.get(ports) ?? []), descriptor]);
  }
  return found;
}

/** The address of an end of a connection over IP; undefined where it is none. */
function socketAddress(nameOf: NameOf, descriptor: number): DataView | undefined {
  const address = new Uint8Array(addressBytes);
  if (nameOf(descriptor, address, new Uint32Array([addressBytes])) !== 0) return undefined;
  const view = new DataView(address.buffer);
  const family = familyOf(view);
  return family === families.ip4 || family === families.ip6 ? view : undefined;
}

/** In the order of the machine's bytes: both kinds that the registry runs on begin with the lower one. */
function familyOf(address: DataView): number {
  return address.getUint16(0, true);
}

function portOf(address: DataView): number {
  return address.getUint16(2);
}

function addressOf(address: DataView): string {
  if (familyOf(address) === families.ip4) {
    return canonical([4, 5, 6, 7].map((at) => address.getUint8(at)).join('.'));
  }
  return canonical([8, 10, 12, 14, 16, 18, 20, 22].map((at) => address.getUint16(at).toString(16)).join(':'));
}

/** An address in the one way in which URLs write it; that of IPv4 as it is mapped into IPv6. */
function canonical(address: string): string {
  const [ip = ''] = address.split('%');
  return new URL(`http://[${ip.includes(':') ? ip : `::ffff:${ip}`}]/`).hostname;
}
