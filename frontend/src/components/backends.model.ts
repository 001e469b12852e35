/** Who looks at a camera's archives, and where footage goes for it, in words. Pure. */
import type { Camera } from "../api/cameras";
import type { Backend, SceneBackend } from "../api/scene";

export const BACKEND_NAMES: Record<SceneBackend, string> = { local: "Local", gemini: "Gemini", openai: "OpenAI-compatible" };
export const BACKENDS = Object.keys(BACKEND_NAMES) as SceneBackend[];

/** The name of a backend that a stored answer carries; one of later versions stays as it is. */
export const backendName = (name: string): string => (BACKEND_NAMES as Record<string, string | undefined>)[name] ?? name;

export const defaultBackend = (backends: Backend[]): Backend | undefined => backends.find((backend) => backend.is_default);

/** The backend that a camera has: its own choice, else the server's. */
export const backendOf = (camera: Pick<Camera, "scene_backend">, backends: Backend[]): Backend | undefined =>
  camera.scene_backend === null ? defaultBackend(backends) : backends.find((backend) => backend.name === camera.scene_backend);

/** Where footage goes for a backend. */
export function whereTo({ name, configured, leaves_machine, endpoint }: Backend): string {
  if (name !== "local" && endpoint === null) return "footage goes nowhere yet";
  if (!leaves_machine || endpoint === null) return "footage stays on this machine";
  return configured ? `footage goes to ${endpoint}` : `footage will go to ${endpoint}`;
}

/** Those who take over from a backend and would send footage away. */
export const awayAfter = (backend: Backend, backends: Backend[]): Backend[] =>
  backends.filter((other) => backend.fallback.includes(other.name) && other.leaves_machine && other.configured);
