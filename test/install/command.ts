/**
 * Runs a program to its end without showing what it prints, and gives its standard output.
 *
 * @param environment added to this process's own
 * @throws if the program cannot be started or fails, with everything that it printed
 */
export async function outputOf(
  command: readonly [string, ...string[]],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...environment },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [output, errors, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (exitCode !== 0) throw new Error(`"${command.join(' ')}" ended with ${exitCode}:\n${output}${errors}`);
  return output;
}
