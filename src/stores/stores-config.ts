import type { Config } from '../config/schema.ts';

/** What of the configuration says where the stores are. */
export type StoresConfig = Pick<Config, 'data' | 'metadata'> & Partial<Pick<Config, 'blobs' | 's3' | 'postgres'>>;
