/** Whether something comes to its end within so many ms. @throws what it fails with before that */
export async function endsWithin(ms: number, ending: Promise<unknown>): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const timer = setTimeout(() => late.resolve(false), ms);
  try {
    return await Promise.race([ending.then(() => true as const), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
