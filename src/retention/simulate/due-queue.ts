/** What is to be looked at, by the time from which on it is. Each thing stands in it once, at the earliest of its times. */
export class DueQueue<T extends object> {
  readonly #heap: Due<T>[] = [];
  readonly #dueAt = new Map<T, number>();

  /** Infinite where there is nothing. */
  get firstAt(): number {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (this.#dueAt.get(first.thing) === first.at) return first.at;
      this.#pop();
    }
    return Infinity;
  }

  /** Something is due at a time, or earlier where it was to be. */
  add(thing: T, at: number): void {
    if (at >= (this.#dueAt.get(thing) ?? Infinity)) return;
    this.#dueAt.set(thing, at);
    this.#push({ thing, at });
  }

  delete(thing: T): void {
    this.#dueAt.delete(thing);
  }

  /** Takes something that is due at a time. */
  take(now: number): T | undefined {
    if (this.firstAt > now) return undefined;
    const due = this.#pop();
    if (due !== undefined) this.#dueAt.delete(due.thing);
    return due?.thing;
  }

  #push(due: Due<T>): void {
    const heap = this.#heap;
    let place = heap.length;
    while (place > 0) {
      const above = (place - 1) >>> 1;
      const other = heap[above];
      if (other === undefined || other.at <= due.at) break;
      heap[place] = other;
      place = above;
    }
    heap[place] = due;
  }

  #pop(): Due<T> | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      const [left, right] = [heap[below], heap[below + 1]];
      if (left === undefined) break;
      let lesser = left;
      if (right !== undefined && right.at < left.at) {
        lesser = right;
        below += 1;
      }
      if (lesser.at >= last.at) break;
      heap[place] = lesser;
      place = below;
    }
    heap[place] = last;
    return first;
  }
}

interface Due<T> {
  readonly thing: T;
  readonly at: number;
}
