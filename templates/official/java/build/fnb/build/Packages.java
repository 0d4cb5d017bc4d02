package fnb.build;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.maven.AbstractMavenLifecycleParticipant;
import org.apache.maven.MavenExecutionException;
import org.apache.maven.execution.MavenSession;
import org.apache.maven.lifecycle.LifecycleExecutor;
import org.apache.maven.model.Plugin;
import org.apache.maven.model.PluginExecution;
import org.apache.maven.model.Resource;
import org.apache.maven.plugin.MojoExecution;
import org.apache.maven.project.DefaultDependencyResolutionRequest;
import org.apache.maven.project.DependencyResolutionException;
import org.apache.maven.project.MavenProject;
import org.apache.maven.project.ProjectDependenciesResolver;
import org.codehaus.plexus.component.repository.exception.ComponentLookupException;
import org.codehaus.plexus.util.xml.Xpp3Dom;
import org.eclipse.aether.graph.Dependency;

/**
 * Runs inside Maven, where the pom is read with its parents, imports and profiles: copies the
 * packages that a function runs with to a folder, and writes down how its sources are compiled.
 * Then it ends Maven, so that no plugin runs before there is a source.
 */
public final class Packages extends AbstractMavenLifecycleParticipant {
    private static final String COMPILER = "org.apache.maven.plugins:maven-compiler-plugin";

    private final List<String> options = new ArrayList<>();

    @Override
    public void afterProjectsRead(MavenSession session) throws MavenExecutionException {
        Path out = Path.of(System.getProperty("fnb.out"));
        MavenProject project = session.getCurrentProject();
        if (!project.getModules().isEmpty()) {
            throw new MavenExecutionException("pom.xml has modules: a function is one project", project.getFile());
        }
        List<String> plan = new ArrayList<>();
        try {
            copy(session, project, out, plan);
            String why = reason(session, project);
            Path classes = project.getBasedir().toPath().relativize(Path.of(project.getBuild().getOutputDirectory()));
            plan.add("classes=" + classes);
            plan.add(why.isEmpty() ? "compiler=javac" : "compiler=maven");
            for (String option : options) {
                plan.add("option=" + option);
            }
            Files.write(out.resolve("plan"), plan);
            System.out.println(why.isEmpty() ? "The sources are compiled by javac itself." : "The sources are compiled by Maven: " + why + ".");
        } catch (DependencyResolutionException e) {
            throw new MavenExecutionException(e.getMessage(), e);
        } catch (IOException | UncheckedIOException e) {
            throw new MavenExecutionException("copying packages: " + e, e);
        }
        System.exit(0);
    }

    @SuppressWarnings("deprecation") // Maven 3 has no other way to its parts here
    private static <T> T part(MavenSession session, Class<T> type) {
        try {
            return session.getContainer().lookup(type);
        } catch (ComponentLookupException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Copies packages, in the order of Maven's class path. */
    private void copy(MavenSession session, MavenProject project, Path out, List<String> plan) throws IOException, DependencyResolutionException {
        Path lib = Files.createDirectories(out.resolve("lib"));
        Path compile = Files.createDirectories(out.resolve("compile"));
        Set<String> names = new HashSet<>();
        List<Dependency> all = part(session, ProjectDependenciesResolver.class).resolve(new DefaultDependencyResolutionRequest(project, session.getRepositorySession())).getDependencies();
        for (Dependency d : all) {
            Path file = d.getArtifact().getFile() == null ? null : d.getArtifact().getFile().toPath();
            if (file == null || !file.toString().endsWith(".jar") || d.getScope().equals("test")) {
                continue;
            }
            String name = file.getFileName().toString();
            if (!names.add(name)) {
                name = d.getArtifact().getGroupId() + "." + name;
            }
            boolean runs = d.getScope().equals("compile") || d.getScope().equals("runtime");
            Path to = (runs ? lib : compile).resolve(name);
            Files.copy(file, to);
            // A time that the archive of classes does not compare.
            Files.setLastModifiedTime(to, FileTime.fromMillis(0));
            if (!d.getScope().equals("runtime")) {
                plan.add("compile=" + to);
            }
            if (runs) {
                plan.add("runtime=" + name);
            }
        }
    }

    /** Says why javac alone would not do what Maven does; "" if it would. */
    private String reason(MavenSession session, MavenProject project) {
        Path base = project.getBasedir().toPath();
        if (!project.getPackaging().equals("jar")) {
            return "the packaging is " + project.getPackaging();
        }
        if (Files.exists(base.resolve(".mvn")) || !project.getBuildExtensions().isEmpty()) {
            return "Maven has extensions or settings";
        }
        if (project.getCompileSourceRoots().size() != 1 || !base.resolve("src/main/java").equals(Path.of(project.getCompileSourceRoots().get(0)))) {
            return "the sources are not in src/main/java";
        }
        for (Resource r : project.getResources()) {
            boolean plain = base.resolve("src/main/resources").equals(Path.of(r.getDirectory())) && !r.isFiltering()
                    && r.getIncludes().isEmpty() && r.getExcludes().isEmpty() && r.getTargetPath() == null;
            if (!plain || project.getResources().size() > 1) {
                return "resources are not copied as they are from src/main/resources";
            }
        }
        List<MojoExecution> steps;
        try {
            steps = part(session, LifecycleExecutor.class).calculateExecutionPlan(session, "process-classes").getMojoExecutions();
        } catch (Exception e) {
            return "its steps are not known before: " + String.valueOf(e.getMessage()).split("\n", 2)[0];
        }
        for (MojoExecution step : steps) {
            String name = step.getArtifactId() + ":" + step.getGoal();
            boolean known = name.equals("maven-resources-plugin:resources") || name.equals("maven-compiler-plugin:compile");
            if (!known || !step.getExecutionId().startsWith("default-")) {
                return "the plugin " + name + " runs before the classes are there";
            }
        }
        return compiler(project);
    }

    /** Finds the options of the compiler; says which of the pom's settings it does not know. */
    private String compiler(MavenProject project) {
        String[] release = {"release", "source", "target"};
        String[] values = new String[3];
        for (int i = 0; i < 3; i++) {
            values[i] = project.getProperties().getProperty("maven.compiler." + release[i]);
        }
        for (String name : project.getProperties().stringPropertyNames()) {
            if (name.startsWith("maven.compiler.")) {
                String known = setting(name.substring("maven.compiler.".length()), project.getProperties().getProperty(name), values);
                if (!known.isEmpty()) {
                    return known;
                }
            }
        }
        Plugin plugin = project.getPlugin(COMPILER);
        List<Object> configurations = new ArrayList<>();
        if (plugin != null) {
            if (!plugin.getDependencies().isEmpty()) {
                return "the compiler plugin has dependencies";
            }
            configurations.add(plugin.getConfiguration());
            for (PluginExecution e : plugin.getExecutions()) {
                if (e.getGoals().contains("compile")) {
                    configurations.add(e.getConfiguration());
                }
            }
        }
        for (Object configuration : configurations) {
            for (Xpp3Dom child : configuration == null ? new Xpp3Dom[0] : ((Xpp3Dom) configuration).getChildren()) {
                String known = child.getName().equals("compilerArgs") ? arguments(child) : setting(child.getName(), child.getValue(), values);
                if (!known.isEmpty()) {
                    return known;
                }
            }
        }
        if (values[0] != null) {
            options.addAll(List.of("--release", values[0]));
        } else if (values[1] != null && values[2] != null) {
            options.addAll(List.of("-source", values[1], "-target", values[2]));
        } else {
            return "maven.compiler.release is not set";
        }
        return "";
    }

    private String arguments(Xpp3Dom all) {
        for (Xpp3Dom arg : all.getChildren()) {
            if (arg.getValue() == null || arg.getValue().contains("${")) {
                return "the compiler's argument " + arg.getValue() + " is Maven's own";
            }
            options.add(arg.getValue().trim());
        }
        return "";
    }

    private String setting(String name, String value, String[] values) {
        if (value == null || value.contains("${")) {
            return "the compiler's setting " + name + " is Maven's own";
        }
        value = value.trim();
        switch (name) {
            case "release":
                values[0] = value;
                return "";
            case "source":
                values[1] = value;
                return "";
            case "target":
                values[2] = value;
                return "";
            case "parameters":
                if (value.equals("true")) {
                    options.add("-parameters");
                }
                return "";
            case "encoding":
                return value.equalsIgnoreCase("UTF-8") ? "" : "the sources are in " + value;
            case "showWarnings":
            case "showDeprecation":
                return "";
            default:
                return "the compiler has the setting " + name;
        }
    }
}
