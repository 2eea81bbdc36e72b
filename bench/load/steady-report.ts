import { z } from 'zod';

/** What a steady load prints, as one line of JSON, when its time is over: how long each operation took. */
export const steadyReport = z.object({ pushesMs: z.array(z.number()), pullsMs: z.array(z.number()) });

export type SteadyReport = z.infer<typeof steadyReport>;
