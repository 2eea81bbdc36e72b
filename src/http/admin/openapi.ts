import { z } from 'zod';
import type { Endpoint } from './endpoint.ts';

/** A description of the admin API that tools read (OpenAPI 3.1), made of what its endpoints parse their requests with. */
export function openApiDocument(endpoints: readonly Endpoint[], prefix: string) {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) {
    const path = `${prefix}${endpoint.path}`;
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operationOf(endpoint) };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Wherry admin API', version: '1' },
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'The file admin.token of the data directory.' },
      },
      schemas: { Errors: schemaOf(errors, 'output') },
    },
  };
}

const errors = z.object({
  errors: z.array(z.object({ code: z.string(), message: z.string(), detail: z.record(z.string(), z.unknown()) })),
});

function operationOf({ summary, query, body, answer, path, method }: Endpoint) {
  const { properties = {}, required = [] } = schemaOf(query, 'input');
  const parameters = Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
  const content = (schema: unknown) => ({ 'application/json': { schema } });
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[/](\w)/g, (_, letter: string) => letter.toUpperCase())}`,
    summary,
    parameters,
    ...(method === 'POST' && { requestBody: { required: true, content: content(schemaOf(body, 'input')) } }),
    responses: {
      200: { description: 'Done.', content: content(schemaOf(answer, 'output')) },
      default: { description: 'Refused, and why.', content: content({ $ref: '#/components/schemas/Errors' }) },
    },
  };
}

/** What a schema takes, or gives. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output') {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io });
  return json;
}
