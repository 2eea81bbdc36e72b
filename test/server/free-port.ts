const [first, last] = [20_000, 31_999];
/** Where this process goes on looking: each begins elsewhere, so that two that start servers at the same time hardly meet. */
let next = first + Math.floor(Math.random() * (last - first));

/** A name that the kernel gives to one process only. */
interface Claim {
  stop(): void;
}

/** Of the ports that were given last: whoever was given those before is done with them. */
const claims: Claim[] = [];
const mostClaims = 256;

/**
 * A loopback port on which nobody listens, and that neither this process nor another one that runs tests has been given a short
 * while ago. It is below the range from which the kernel takes clients' ports: from within the range, a client that dials
 * while a server is down could be given that very port, and end up connected to itself.
 */
export function freePort(): number {
  for (let attempt = first; attempt <= last; attempt += 1) {
    const port = next;
    next = port === last ? first : port + 1;
    const claim = claimOf(port);
    if (claim === undefined) continue;
    if (isFree(port)) {
      claims.push(claim);
      if (claims.length > mostClaims) claims.shift()?.stop();
      return port;
    }
    claim.stop();
  }
  throw new Error(`no port from ${first} to ${last} is free`);
}

/** @returns undefined where another process has it. Elsewhere than on Linux there are no such names, and nobody has one. */
function claimOf(port: number): Claim | undefined {
  if (process.platform !== 'linux') return { stop: () => undefined };
  try {
    const listener = Bun.listen({ unix: `\0wherry-test-port-${port}`, socket: { data: () => undefined } });
    listener.unref();
    return { stop: () => listener.stop(true) };
  } catch {
    return undefined;
  }
}

function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: '127.0.0.1', port, socket: { data: () => undefined } }).stop(true);
    return true;
  } catch {
    return false;
  }
}
