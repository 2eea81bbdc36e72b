/** What says of its tests how many there were. */
export interface Program {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
}

/** How many tests there were in several runs of programs that each say so at their end. */
export class Sum {
  #passed = 0;
  #failed = 0;

  /** Runs a program to its end, showing what it prints, and adds what it says of its tests. */
  async run(
    name: string,
    command: readonly [string, ...string[]],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    console.log(`\n=== ${name}`);
    await this.#run(name, command, environment, (text) => process.stdout.write(text));
  }

  /** Runs several, some at the same time, and shows what each has printed once it has ended. */
  async runSeveral(programs: readonly Program[], atOnce: number): Promise<void> {
    const waiting = [...programs];
    const work = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const printed: string[] = [];
        await this.#run(next.name, next.command, next.environment, (text) => printed.push(text));
        console.log(`\n=== ${next.name}\n${printed.join('')}`);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
  }

  async #run(
    name: string,
    command: readonly [string, ...string[]],
    environment: Readonly<Record<string, string>>,
    show: (text: string) => void,
  ): Promise<void> {
    const startedAtMs = performance.now();
    const child = Bun.spawn([...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    const [out, err, code] = await Promise.all([textOf(child.stdout, show), textOf(child.stderr, show), child.exited]);
    const { passed, failed } = counted(`${out}\n${err}`, code);
    this.#passed += passed;
    this.#failed += failed;
    const seconds = Math.round((performance.now() - startedAtMs) / 1000);
    show(`=== ${name}: ${passed} passed, ${failed} failed in ${seconds} s\n`);
  }

  get failed(): number {
    return this.#failed;
  }

  toString(): string {
    return `${this.#passed} passed, ${this.#failed} failed`;
  }
}

/**
 * What a program says of its tests: as `bun test` does, or as a last line `N passed, N failed`. What is skipped counts as
 * failed, and so does a program that runs no test, or fails without saying so.
 */
export function counted(text: string, code: number): { readonly passed: number; readonly failed: number } {
  // Without the colours.
  // oxlint-disable-next-line no-control-regex
  const plain = text.replaceAll(/\u001B\[[0-9;]*m/g, '');
  const sums = [...plain.matchAll(/^(\d+) passed, (\d+) failed$/gm)].at(-1);
  const number = (word: string) => Number([...plain.matchAll(new RegExp(`^ *(\\d+) ${word}$`, 'gm'))].at(-1)?.[1] ?? 0);
  const passed = sums === undefined ? number('pass') : Number(sums[1]);
  const failed = sums === undefined ? number('fail') + number('skip') + number('todo') : Number(sums[2]);
  return { passed, failed: failed === 0 && (code !== 0 || passed === 0) ? 1 : failed };
}

async function textOf(stream: ReadableStream<Uint8Array>, show: (text: string) => void): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of stream) {
    const piece = decoder.decode(chunk, { stream: true });
    text += piece;
    show(piece);
  }
  return text;
}
