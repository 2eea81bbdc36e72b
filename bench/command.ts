/**
 * Runs a program to its end and gives its standard output.
 *
 * @throws if it fails, with what it said on standard error
 */
export async function outputOf(command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  const [output, errors, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (exitCode !== 0) throw new Error(`${command[0]} ended with ${exitCode}: ${errors.trim() || output.trim()}`);
  return output;
}
