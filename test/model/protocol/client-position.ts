import type { Layout } from './layout.ts';
import { at, clientSize, phases, type State, stopped } from './state.ts';

/** To another phase of the same instruction. */
export function goTo(layout: Layout, t: State, client: number, to: number): void {
  const place = layout.clientsAt + clientSize * client;
  const pc = at(t, place);
  t[place] = pc - (pc % phases) + to;
}

/** To the next instruction. */
export function goNext(layout: Layout, t: State, client: number): void {
  const place = layout.clientsAt + clientSize * client;
  const next = Math.floor(at(t, place) / phases) + 1;
  if (next === layout.world.clients[client]?.length) stop(layout, t, client);
  else t[place] = next * phases;
}

/** Nothing that a client was promised matters any more: fewer states that way. */
export function stop(layout: Layout, t: State, client: number): void {
  const place = layout.clientsAt + clientSize * client;
  t.fill(0, place, place + clientSize);
  t[place] = stopped;
}
