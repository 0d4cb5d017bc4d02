package fnb.build;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.reflect.Modifier;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import javax.tools.ToolProvider;

/** Makes the files of a function: its classes in one jar, and the name of its handler's class. */
public final class Build {
    private static final String HANDLER = "META-INF/services/fnb.Handler";

    private final Path folder;
    private final Path server;
    private final Path out;
    private final List<String> plan;

    private Build(Path folder, Path packages, Path server, Path out) throws IOException {
        this.folder = folder;
        this.server = server;
        this.out = out;
        this.plan = Files.readAllLines(packages.resolve("plan"));
    }

    /**
     * {@code tools SOURCES OUT MAVEN} makes the server and the programs of this build, which need
     * nothing of a handler; {@code function FOLDER PACKAGES SERVER OUT} compiles the sources of a
     * handler, if Maven has not, and makes its files.
     */
    public static void main(String[] args) throws Exception {
        try {
            if (args[0].equals("tools")) {
                tools(Path.of(args[1]), Path.of(args[2]), args[3]);
            } else {
                new Build(Path.of(args[1]), Path.of(args[2]), Path.of(args[3]), Path.of(args[4])).make();
            }
        } catch (Refused e) {
            System.err.println(e.getMessage());
            System.exit(1);
        }
    }

    private static final class Refused extends Exception {
        private static final long serialVersionUID = 1;

        Refused(String message) {
            super(message);
        }
    }

    private static void tools(Path sources, Path out, String maven) throws IOException, Refused {
        Path server = Files.createDirectories(out.resolve("server"));
        Path build = Files.createDirectories(out.resolve("build"));
        // The types that handlers use are for handlers of any Java since 11.
        javac(List.of("--release", "11", "-XDstringConcat=inline", "-d", server.toString()), files(sources.resolve("api")));
        javac(List.of("-XDignore.symbol.file", "-XDstringConcat=inline", "-cp", server.toString(), "-d", server.toString()), files(sources.resolve("server")));
        String jars = files(Path.of(maven, "lib")).stream().map(Path::toString).filter(f -> f.endsWith(".jar")).collect(Collectors.joining(":"));
        javac(List.of("-proc:none", "-cp", jars, "-d", build.toString()), files(sources.resolve("build")));
        Path component = build.resolve("META-INF/plexus/components.xml");
        Files.createDirectories(component.getParent());
        Files.copy(sources.resolve("build/META-INF/plexus/components.xml"), component);
        jar(server, Files.createDirectories(out.resolve("app")).resolve("server.jar"), "");
        jar(build, out.resolve("build.jar"), "");
    }

    private static void javac(List<String> options, List<Path> sources) throws Refused {
        List<String> args = new ArrayList<>(List.of("-g", "-encoding", "UTF-8", "-nowarn", "-Xlint:-options"));
        args.addAll(options);
        for (Path source : sources) {
            if (source.toString().endsWith(".java")) {
                args.add(source.toString());
            }
        }
        if (ToolProvider.getSystemJavaCompiler().run(null, null, null, args.toArray(new String[0])) != 0) {
            throw new Refused("the sources do not compile");
        }
    }

    private void make() throws IOException, Refused {
        Path classes = folder.resolve(values("classes").get(0));
        if (values("compiler").contains("javac") && !Files.exists(folder.resolve("src/main/java/module-info.java"))) {
            classes = Files.createDirectories(out.resolve("classes"));
            compile(classes);
            resources(classes);
        }
        String handler = handler(classes);
        Path app = Files.createDirectories(out.resolve("app"));
        jar(classes, app.resolve("function.jar"), "fnb"); // these types are in server.jar
        List<String> own = new ArrayList<>();
        for (Path file : files(classes)) {
            own.add(classes.relativize(file).toString().replaceFirst("[.]class$", ""));
        }
        Files.write(out.resolve("own"), own);
        Path main = app.resolve("function.options");
        Files.writeString(main, "fnb.Main " + handler + "\n");
        Files.setLastModifiedTime(main, FileTime.fromMillis(0));
    }

    private List<String> values(String key) {
        return plan.stream().filter(l -> l.startsWith(key + "=")).map(l -> l.substring(key.length() + 1)).collect(Collectors.toList());
    }

    private void compile(Path classes) throws IOException, Refused {
        Path sources = folder.resolve("src/main/java");
        if (!Files.isDirectory(sources)) {
            throw new Refused("there is no src/main/java, which has the sources of a Maven project");
        }
        List<String> options = new ArrayList<>(List.of("-d", classes.toString()));
        options.addAll(List.of("-s", Files.createDirectories(out.resolve("generated")).toString()));
        options.addAll(values("option"));
        List<String> path = new ArrayList<>(List.of(server.toString()));
        path.addAll(values("compile"));
        options.addAll(List.of("-cp", String.join(":", path)));
        // The types that handlers use are the template's own.
        List<Path> own = files(sources).stream().filter(f -> f.toString().endsWith(".java") && !sources.relativize(f).startsWith("fnb")).collect(Collectors.toList());
        if (own.isEmpty()) {
            throw new Refused("src/main/java has no sources");
        }
        javac(options, own);
    }

    private void resources(Path classes) throws IOException {
        Path from = folder.resolve("src/main/resources");
        if (!Files.isDirectory(from)) {
            return;
        }
        for (Path file : files(from)) {
            Path to = classes.resolve(from.relativize(file).toString());
            Files.createDirectories(to.getParent());
            Files.copy(file, to);
        }
    }

    /** Finds the class that answers requests. None of the function's code runs. */
    private String handler(Path classes) throws IOException, Refused {
        Path named = classes.resolve(HANDLER);
        if (Files.exists(named)) {
            for (String line : Files.readAllLines(named)) {
                if (!line.replaceFirst("#.*", "").isBlank()) {
                    return line.replaceFirst("#.*", "").trim();
                }
            }
        }
        List<URL> path = new ArrayList<>(List.of(server.toUri().toURL(), classes.toUri().toURL()));
        for (String jar : values("compile")) {
            path.add(Path.of(jar).toUri().toURL());
        }
        List<String> found = new ArrayList<>();
        List<String> unfit = new ArrayList<>();
        try (URLClassLoader loader = new URLClassLoader(path.toArray(new URL[0]), ClassLoader.getPlatformClassLoader())) {
            Class<?> type = Class.forName("fnb.Handler", false, loader);
            for (Path file : files(classes)) {
                String name = classes.relativize(file).toString().replace('/', '.');
                if (!name.endsWith(".class") || name.startsWith("fnb.") || name.startsWith("META-INF.") || name.endsWith("-info.class")) {
                    continue;
                }
                look(loader, type, name.substring(0, name.length() - ".class".length()), found, unfit);
            }
        } catch (ClassNotFoundException e) {
            throw new IOException(e);
        }
        if (found.size() == 1) {
            return found.get(0);
        }
        if (found.size() > 1) {
            throw new Refused("several classes implement fnb.Handler: " + String.join(", ", found)
                    + "\nName the one that answers requests in src/main/resources/" + HANDLER);
        }
        throw new Refused(unfit.isEmpty() ? "no class implements fnb.Handler: write public class Handler implements fnb.Handler"
                : unfit.get(0) + " implements fnb.Handler, but has no constructor without parameters, or is an inner class that is not static");
    }

    private static void look(ClassLoader loader, Class<?> type, String name, List<String> found, List<String> unfit) {
        try {
            Class<?> c = Class.forName(name, false, loader);
            if (!type.isAssignableFrom(c) || c.isInterface() || Modifier.isAbstract(c.getModifiers()) || c.isAnonymousClass() || c.isLocalClass()) {
                return;
            }
            boolean fits = Arrays.stream(c.getDeclaredConstructors()).anyMatch(k -> k.getParameterCount() == 0);
            (fits ? found : unfit).add(name);
        } catch (ClassNotFoundException | LinkageError e) {
            // It needs what is there only when it runs, so that it is no handler.
        }
    }

    /** Writes a jar that is the same for the same files: sorted, without times. */
    private static void jar(Path folder, Path file, String without) throws IOException {
        try (OutputStream to = Files.newOutputStream(file); ZipOutputStream zip = new ZipOutputStream(to, StandardCharsets.UTF_8)) {
            zip.setMethod(ZipOutputStream.STORED);
            for (Path path : files(folder)) {
                Path name = folder.relativize(path);
                if (name.getName(0).toString().equals(without)) {
                    continue;
                }
                byte[] content = Files.readAllBytes(path);
                CRC32 sum = new CRC32();
                sum.update(content);
                ZipEntry entry = new ZipEntry(name.toString());
                entry.setTime(new java.util.GregorianCalendar(1980, 0, 1).getTimeInMillis());
                entry.setSize(content.length);
                entry.setCompressedSize(content.length);
                entry.setCrc(sum.getValue());
                zip.putNextEntry(entry);
                zip.write(content);
                zip.closeEntry();
            }
        }
        // A time that the archive of classes does not compare.
        Files.setLastModifiedTime(file, FileTime.fromMillis(0));
    }

    private static List<Path> files(Path folder) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(Files::isRegularFile).sorted().collect(Collectors.toList());
        }
    }
}
