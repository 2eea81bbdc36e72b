const [first, last] = [20_000, 31_999];
/** Where this process goes on looking: each begins elsewhere, so that two that start servers at the same time hardly meet. */
let next = first + Math.floor(Math.random() * (last - first));

/**
 * A loopback port on which nobody listens, and that no process of tests has been given that still runs, this one neither. It is
 * below the range from which the kernel takes clients' ports: from within the range, a client that dials while a server is
 * down could be given that very port, and end up connected to itself.
 */
export function freePort(): number {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = next;
    next = port === last ? first : port + 1;
    if (isFree(port) && isTaken(port)) return port;
  }
  throw new Error(`no free port among the 200 before ${next}`);
}

/** Has it be this process's as long as it lives, by a name that the kernel gives to one process only. Elsewhere than on Linux there are no such names. */
function isTaken(port: number): boolean {
  if (process.platform !== 'linux') return true;
  try {
    Bun.listen({ unix: `\0wherry-test-port-${port}`, socket: { data: () => undefined } }).unref();
    return true;
  } catch {
    return false;
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
